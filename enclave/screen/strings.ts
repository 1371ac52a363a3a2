// SPDX-License-Identifier: Apache-2.0
/**
 * The strings of a message that a model will read. Each is screened by itself, and neighbours also joined: an instruction
 * can be cut in pieces of which each is harmless. Names of members count as text: they reach the model as well.
 */
import { isJsonObject } from '../../shared/json/value.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { SCREEN_MESSAGE_LENGTH_MAX, SCREEN_TEXTS_MAX } from '../../shared/limits.ts';
import type { ScreenKind } from './types.ts';

export interface ScreenText {
  readonly text: string;
  readonly kind: ScreenKind;
  /** JSON Pointer (RFC 6901) of the string, or of what was joined. Attacker-controlled. */
  readonly path: string;
}

export interface ScreenTexts {
  readonly texts: readonly ScreenText[];
  /** True if some strings were beyond the limits and are not among the texts. */
  readonly partial: boolean;
}

/** UTF-16 units of strings that are joined in one text; a longer string stands for itself. */
const JOINED_LENGTH_MAX = 4096;
const MEDIA_MEMBERS: ReadonlySet<string> = new Set(['data', 'blob']);
/** How base64 of PNG, JPEG, GIF, RIFF (WebP, WAV), Ogg, MP3 and ISO media begins. */
const MEDIA_BASE64 = /^(?:iVBORw0KGgo|\/9j\/|R0lGOD|UklGR|T2dnUw|SUQz|\/\/[uv]|AAAA[A-Za-z0-9+/]{2}Z0eXA)[A-Za-z0-9+/]*={0,2}$/;

/** Every string of a tool's metadata: name, title, description, schemas, annotations, _meta. */
export function stringsOfTool(tool: JsonObject): ScreenTexts {
  return collect(tool, 'tool');
}

/** Every string of a result: content, structuredContent, resources, error texts, _meta. */
export function stringsOfResult(result: JsonValue): ScreenTexts {
  return collect(result, 'result');
}

function collect(value: JsonValue, kind: ScreenKind): ScreenTexts {
  const gathered = new Gathered(kind);
  gathered.walk(value, '', '');
  return gathered.end();
}

class Gathered {
  readonly #kind: ScreenKind;
  readonly #texts: ScreenText[] = [];
  #joined: string[] = [];
  #joinedLength = 0;
  #joinedPath = '';
  #length = 0;
  #partial = false;

  constructor(kind: ScreenKind) {
    this.#kind = kind;
  }

  /** Depth is bounded by the parser of messages. */
  walk(value: JsonValue, path: string, name: string): void {
    if (typeof value === 'string') this.#string(value, path, name);
    else if (Array.isArray(value)) value.forEach((item, index) => this.walk(item, `${path}/${index}`, name));
    else if (isJsonObject(value)) {
      const media = isMedia(value);
      for (const [key, member] of Object.entries(value)) {
        const at = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        this.#join(key, at);
        this.walk(member, at, media ? key : '');
      }
    }
  }

  end(): ScreenTexts {
    this.#flush();
    return { texts: this.#texts, partial: this.#partial };
  }

  #string(text: string, path: string, name: string): void {
    // The bytes of an image or a sound are no text. What merely says that it is an image is read.
    if (MEDIA_MEMBERS.has(name) && MEDIA_BASE64.test(text)) return;
    this.#add(text, path);
    this.#join(text, path);
  }

  #join(text: string, path: string): void {
    if (this.#joinedLength + text.length > JOINED_LENGTH_MAX) this.#flush();
    if (text.length > JOINED_LENGTH_MAX) return;
    if (this.#joined.length === 0) this.#joinedPath = path;
    this.#joined.push(text);
    this.#joinedLength += text.length + 1;
  }

  /** What is joined overlaps with what comes next by its last piece, so that no boundary is a hiding place. */
  #flush(): void {
    if (this.#joined.length > 1) this.#add(this.#joined.join('\n'), this.#joinedPath);
    const last = this.#joined.at(-1);
    this.#joined = last === undefined || last.length > JOINED_LENGTH_MAX / 2 ? [] : [last];
    this.#joinedLength = this.#joined.length === 0 ? 0 : (last?.length ?? 0) + 1;
  }

  #add(text: string, path: string): void {
    if (text.trim() === '') return;
    this.#length += text.length;
    if (this.#texts.length >= SCREEN_TEXTS_MAX || this.#length > SCREEN_MESSAGE_LENGTH_MAX) this.#partial = true;
    else this.#texts.push({ text, kind: this.#kind, path });
  }
}

/** True for content whose bytes are declared to be an image or a sound (MCP: ImageContent, AudioContent, BlobResourceContents). */
function isMedia(value: JsonObject): boolean {
  const { mimeType } = value;
  return typeof mimeType === 'string' && /^(?:image|audio|video|font)\/(?!svg)/i.test(mimeType);
}
