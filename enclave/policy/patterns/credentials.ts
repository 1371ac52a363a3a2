// SPDX-License-Identifier: Apache-2.0
/**
 * Credentials: whole blocks first, then forms that vendors publish, then names with what is assigned to them. RE2 has no
 * look-around, so some patterns replace a name together with its value. They prefer a value too much over a value too
 * few, but prose, commit ids and digests stay readable.
 */
import type { LibraryPattern } from './pattern.ts';

/** Start of a token that stands alone or behind an underscore, as in `MY_sk-...`. */
const EDGE = '(?:\\b|_)';

/** Between a name and its value, with the quotes of JSON, also as they stand inside another string. */
const IS = '\\\\?["\']?\\s*[:=]\\s*\\\\?["\']?';

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

const KEY_BEGIN = '-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----';
const KEY_END = '-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----';

/** Schemes of databases and brokers, whose URLs are usually called connection strings. */
const STORES = 'postgres(?:ql)?|mysqlx?|mariadb|mongodb|redis|rediss|valkey|amqps?|mssql|sqlserver|clickhouse|cockroachdb|nats|kafka|ldaps?';

const credential = (name: string, about: string, source: string): LibraryPattern => ({ name, group: 'credentials', about, source });
const named = (name: string, about: string, source: string): LibraryPattern => ({ ...credential(name, about, source), members: true });

export const CREDENTIALS: readonly LibraryPattern[] = [
  named(
    'gcp-service-account-key',
    'private_key and private_key_id of a Google service account file',
    `private_key(?:_id)?${IS}(?:[0-9a-f]{40}|${KEY_BEGIN}[^"]*)`,
  ),
  credential(
    'private-key',
    'private keys: PEM with all its labels, OpenSSH, PGP, and age',
    `${KEY_BEGIN}(?s:.*?)(?:${KEY_END}|\\z)|(?i:AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{40,})`,
  ),
  credential(
    'connection-string',
    'URLs of databases and brokers up to their password, JDBC URLs, Password= of ADO and ODBC',
    [
      `(?i:\\b(?:${STORES})(?:\\+[a-z0-9]+)?://)[^\\s:/?#@"'<>]*:[^\\s/?#"'<>]+@`,
      '(?i:jdbc:[a-z0-9:]+//[^\\s"\'<>]*[?;&](?:password|pwd)=)[^&;\\s"\'<>]+',
      '(?i:jdbc:oracle:(?:thin|oci8?):)[^\\s/@:"\']+/[^\\s@"\']+@',
      '(?i:;[ \\t]*(?:password|pwd)[ \\t]*=)[ \\t]*[^;"\'\\n\\[\\]]{2,}',
      '(?i:\\b(?:password|pwd)[ \\t]*=)[ \\t]*[^;"\'\\s\\[\\]]+;',
    ].join('|'),
  ),
  credential(
    'url-credentials',
    'user and password, or a long token, in front of the host of a URL',
    '\\b[A-Za-z][A-Za-z0-9+.-]*://(?:[^\\s:/?#@"\'<>]*:[^\\s/?#"\'<>]+|[A-Za-z0-9_-]{20,})@',
  ),
  credential('slack-webhook', 'addresses of Slack that take messages', 'hooks\\.slack(?:-gov)?\\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{16,}'),
  credential('jwt', 'JSON Web Tokens, signed or encrypted', 'eyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*(?:\\.[A-Za-z0-9_-]+)*'),
  credential('aws-access-key', 'AWS access key ids', `${EDGE}(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}\\b`),
  named(
    'aws-secret-key',
    'AWS secret access keys and session tokens behind their name',
    `(?i:aws[_. -]?(?:secret[_. -]?(?:access[_. -]?)?key|session[_. -]?token)|secret[_. -]?access[_. -]?key|session[_. -]?token)${IS}[A-Za-z0-9/+=]{16,}`,
  ),
  credential('github-token', 'tokens of GitHub, classic, fine-grained and of apps', '(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})'),
  credential('gitlab-token', 'tokens of GitLab: personal, deploy, runner, job and others', '\\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-[A-Za-z0-9_.-]{16,}'),
  credential('slack-token', 'tokens of Slack bots, users and apps', '(?:xox[a-z](?:\\.xox[a-z])?-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,})'),
  credential('stripe-key', 'keys and webhook secrets of Stripe', `${EDGE}(?:(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,})`),
  credential('anthropic-key', 'keys of Anthropic', 'sk-ant-[A-Za-z0-9_-]{16,}'),
  credential('openai-key', 'keys of OpenAI, and of services that use its form', `${EDGE}sk-(?:(?:proj|svcacct|admin|None|or-v1)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})`),
  credential('gcp-api-key', 'API keys, client secrets and access tokens of Google', '(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{20,}|\\bya29\\.[A-Za-z0-9_-]{20,})'),
  credential('npm-token', 'tokens of npm', 'npm_[A-Za-z0-9]{30,}'),
  credential('pypi-token', 'tokens of PyPI', 'pypi-(?:AgE[A-Za-z0-9_-]{16,}|[A-Za-z0-9_]{40,})'),
  credential('azure-storage-key', 'AccountKey and SharedAccessKey of Azure', '(?i:AccountKey|SharedAccessKey)=[A-Za-z0-9+/%_-]{20,}={0,2}'),
  credential('azure-sas', 'signatures of shared access (SAS) of Azure', '(?i:SharedAccessSignature|[?&;]sig)=[A-Za-z0-9+/%_-]{20,}={0,2}'),
  credential('sendgrid-key', 'keys of SendGrid', '\\bSG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}'),
  named('twilio-key', 'keys of Twilio, and auth tokens behind their name', `${EDGE}SK[0-9a-f]{32}\\b|(?i:twilio[_. -]?auth[_. -]?token)${IS}[0-9a-f]{32}`),
  credential('huggingface-token', 'tokens of Hugging Face', `${EDGE}(?:hf|api_org)_[A-Za-z0-9]{30,}`),
  credential('telegram-token', 'tokens of Telegram bots', '(?:\\b|bot)[0-9]{8,10}:[A-Za-z0-9_-]{35}'),
  credential(
    'vendor-token',
    'tokens of DigitalOcean, Docker, Shopify, Linear, Notion, Figma, Vault, Groq, Replicate, Postman, Grafana, Sentry, Atlassian',
    `${EDGE}(?:do[opr]_v1_|dckr_pat_|shp(?:at|ca|pa|ss)_|lin_api_|ntn_|figd_|hv[sb]\\.|gsk_|r8_|PMAK-|glsa_|sntrys_|ATATT3)[A-Za-z0-9_.=-]{20,}`,
  ),
  named(
    'authorization-header',
    'an Authorization header with whatever it holds',
    '(?i:authorization)\\\\?["\']?[ \\t]*[:=][ \\t]*\\\\?["\']?(?:(?i:bearer|basic|token|digest|negotiate|apikey)[ \\t]+[A-Za-z0-9._~+/=-]{2,}|[A-Za-z0-9._~+/=-]{6,})',
  ),
  credential(
    'bearer-header',
    'Bearer with its token',
    '(?i:\\bbearer)(?:[ \\t]+|%20)(?:[A-Za-z0-9._~+/-]{20,}|[A-Za-z._~+/-]{0,19}[0-9][A-Za-z0-9._~+/-]{5,})=*',
  ),
  credential(
    'basic-header',
    'Basic with its encoded user and password',
    '(?i:\\bbasic)(?:[ \\t]+|%20)(?:[A-Za-z0-9+/]{6,}={1,2}|[A-Za-z+/]{0,40}[0-9][A-Za-z0-9+/]{3,}|[A-Za-z0-9+/]{24,})',
  ),
  { ...named('generic-secret', 'what is assigned to a name such as password, api_key or token', `(?i:[a-z0-9_-]*(?:${SECRET_NAMES}))\\\\?["']?(?:${ASSIGNED})`), check: 'assigned' },
];
