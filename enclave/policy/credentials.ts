// SPDX-License-Identifier: Apache-2.0
/**
 * Credentials that are taken out of everything stored or logged, whatever the policy says. RE2 has no look-around, so
 * some patterns replace a name together with its value. They prefer a value too much over a value too few, but prose,
 * commit ids and digests stay readable.
 */
import type { RedactionPattern } from './types.ts';

/** Start of a token that stands alone or behind an underscore, as in `MY_sk-...`. */
const EDGE = '(?:\\b|_)';

const SECRET_NAMES = [
  'pass(?:word|wd|phrase)',
  'pwd',
  'secret',
  'api[_-]?key',
  '(?:access|auth|refresh|id|session|bot|api)[_-]?token',
  'token',
  '(?:secret|private|signing|encryption|access|auth|account)[_-]?key',
  'client[_-]?secret',
  'credentials?',
].join('|');

/** Behind `=`: anything. Behind `:`, where prose has words too: in quotes, or with a digit or sign. */
const ASSIGNED = [
  '[ \\t]*=[ \\t]*(?:"[^"\\n]+"|\'[^\'\\n]+\'|[^\\s"\'`=,;&|<>(){}\\[\\]\\\\][^\\s"\'`,;&|<>(){}\\[\\]\\\\]{2,})',
  '[ \\t]*:[ \\t]*(?:"[^"\\n]+"|\'[^\'\\n]+\'|[A-Za-z_.-]+[0-9!@#$%^*+~][^\\s"\'`,;&|<>(){}\\[\\]\\\\]*|[0-9!@#$%^*+~][^\\s"\'`,;&|<>(){}\\[\\]\\\\]{3,})',
].join('|');

/** Name and RE2 source, in the order in which they are applied: whole blocks, then known forms, then assignments. */
const SOURCES: readonly (readonly [name: string, source: string])[] = [
  [
    'private key',
    '-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\\z)',
  ],
  ['age key', '(?i:AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{40,})'],
  ['url credentials', '\\b[A-Za-z][A-Za-z0-9+.-]*://(?:[^\\s:/?#@"\'<>]*:[^\\s/?#"\'<>]+|[A-Za-z0-9_-]{20,})@'],
  ['slack webhook', 'hooks\\.slack(?:-gov)?\\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{16,}'],
  ['jwt', 'eyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*(?:\\.[A-Za-z0-9_-]+)*'],
  ['aws key id', `${EDGE}(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}\\b`],
  [
    'aws secret',
    '(?i:aws[_. -]?(?:secret[_. -]?(?:access[_. -]?)?key|session[_. -]?token)|secret[_. -]?access[_. -]?key)["\']?\\s*[:=]\\s*["\']?[A-Za-z0-9/+=]{16,}',
  ],
  ['github token', '(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})'],
  ['gitlab token', '\\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-[A-Za-z0-9_.-]{16,}'],
  ['slack token', '(?:xox[a-z](?:\\.xox[a-z])?-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,})'],
  ['stripe key', `${EDGE}(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}`],
  ['webhook secret', `${EDGE}whsec_[A-Za-z0-9+/=]{20,}`],
  ['anthropic key', 'sk-ant-[A-Za-z0-9_-]{16,}'],
  ['openai key', `${EDGE}sk-(?:(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})`],
  ['google key', '(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}|\\bya29\\.[A-Za-z0-9_-]{20,})'],
  ['npm token', 'npm_[A-Za-z0-9]{30,}'],
  ['pypi token', 'pypi-(?:AgE[A-Za-z0-9_-]{16,}|[A-Za-z0-9_]{40,})'],
  ['azure key', '(?i:AccountKey|SharedAccessKey|SharedAccessSignature|[?&]sig)=[A-Za-z0-9+/%_-]{20,}={0,2}'],
  ['sendgrid key', '\\bSG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}'],
  ['twilio key', `${EDGE}SK[0-9a-f]{32}\\b`],
  ['hugging face token', `${EDGE}hf_[A-Za-z0-9]{30,}`],
  ['telegram token', '(?:\\b|bot)[0-9]{8,10}:[A-Za-z0-9_-]{35}'],
  [
    'vendor token',
    `${EDGE}(?:do[opr]_v1_|dckr_pat_|shp(?:at|ca|pa|ss)_|lin_api_|ntn_|figd_|hv[sb]\\.|gsk_|r8_|PMAK-|glsa_|sntrys_|ATATT3)[A-Za-z0-9_.=-]{20,}`,
  ],
  [
    'authorization',
    '(?i:authorization)["\']?[ \\t]*[:=][ \\t]*["\']?(?:(?i:bearer|basic|token|digest|negotiate|apikey)[ \\t]+[A-Za-z0-9._~+/=-]{2,}|[A-Za-z0-9._~+/=-]{6,})',
  ],
  [
    'bearer token',
    '(?i:\\bbearer)(?:[ \\t]+|%20)(?:[A-Za-z0-9._~+/-]{20,}|[A-Za-z._~+/-]{0,19}[0-9][A-Za-z0-9._~+/-]{5,})=*',
  ],
  [
    'basic credentials',
    '(?i:\\bbasic)(?:[ \\t]+|%20)(?:[A-Za-z0-9+/]{6,}={1,2}|[A-Za-z+/]{0,40}[0-9][A-Za-z0-9+/]{3,}|[A-Za-z0-9+/]{24,})',
  ],
  ['secret', `(?i:${SECRET_NAMES})["']?(?:${ASSIGNED})`],
];

/** Built-in patterns; each match becomes `[REDACTED name]`. */
export const CREDENTIAL_PATTERNS: readonly RedactionPattern[] = SOURCES.map(([name, source]) => ({
  name,
  source,
  replacement: `[REDACTED ${name}]`,
}));
