// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { CREDENTIAL_PATTERNS } from '../../../enclave/policy/credentials.ts';
import { compileRegex } from '../../../enclave/policy/regex.ts';
import { createScrubber } from '../../../enclave/policy/scrub.ts';

const scrubber = createScrubber(CREDENTIAL_PATTERNS);

/** Made-up values, put together here so that no scanner takes this file for a leak. */
const alnum = (length: number): string => 'aB3dE6gH9jKLmN0pQ2sT5vW8yZ'.repeat(10).slice(0, length);
const upper = (length: number): string => 'Q7ZP4XK2MWTR9ABD'.repeat(5).slice(0, length);
const hex = (length: number): string => '0f1e2d3c4b5a6978'.repeat(8).slice(0, length);
const jwt = `eyJ${alnum(20)}.eyJ${alnum(40)}.${alnum(43)}`;
const pem = (kind: string, body: string): string => `-----BEGIN ${kind}-----\n${body}\n-----END ${kind}-----`;

/** Per pattern: texts with a secret, and the part of them that must be gone. */
const SECRETS: readonly (readonly [name: string, secrets: readonly (readonly [text: string, gone: string])[]])[] = [
  ['private-key', ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'PGP PRIVATE KEY BLOCK'].map((kind) => [pem(kind, alnum(64)), alnum(64)])],
  ['private-key', [[`-----BEGIN PRIVATE KEY-----\n${alnum(64)}`, alnum(64)], [`-----BEGIN PRIVATE KEY-----\\n${alnum(64)}\\n-----END PRIVATE KEY-----`, alnum(64)]]],
  ['private-key', [[`AGE-SECRET-KEY-1${upper(58)}`, upper(58)], [`age-secret-key-1${upper(58).toLowerCase()}`, upper(58).toLowerCase()]]],
  [
    'url-credentials',
    [
      ['postgres://app:hunter2@db.example/x', 'hunter2'],
      ['https://user:p%40ss@example.com', 'p%40ss'],
      ['redis://:hunter2@localhost:6379', 'hunter2'],
      ['mongodb+srv://u:p@ss@host', 'p@ss'],
      [`https://${alnum(24)}@git.example`, alnum(24)],
    ],
  ],
  ['slack-webhook', [[`https://hooks.slack.com/services/T${upper(8)}/B${upper(8)}/${alnum(24)}`, alnum(24)]]],
  ['jwt', [[jwt, jwt], [`x=${jwt};`, jwt], [`eyJ${alnum(20)}.eyJ${alnum(40)}.`, alnum(40)]]],
  ['aws-access-key', [[`AKIA${upper(16)}`, upper(16)], [`id ASIA${upper(16)},`, upper(16)], [`KEY_AKIA${upper(16)}`, upper(16)]]],
  [
    'aws-secret-key',
    [
      [`aws_secret_access_key = ${alnum(40)}`, alnum(40)],
      [`AWS_SECRET_ACCESS_KEY=${alnum(38)}+/`, alnum(38)],
      [`"SecretAccessKey": "${alnum(40)}"`, alnum(40)],
      [`aws_session_token=${alnum(100)}`, alnum(100)],
    ],
  ],
  ['github-token', [...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => [`${prefix}${alnum(36)}`, alnum(36)] as const), [`github_pat_${alnum(22)}_${alnum(59)}`, alnum(59)], [`TOKEN_ghp_${alnum(36)}`, alnum(36)]]],
  ['gitlab-token', [[`glpat-${alnum(20)}`, alnum(20)], [`glrt-${alnum(20)}`, alnum(20)]]],
  ['slack-token', [...['xoxb', 'xoxp', 'xoxa', 'xoxr', 'xoxs'].map((prefix) => [`${prefix}-123456789012-${alnum(24)}`, alnum(24)] as const), [`xapp-1-A123-${alnum(30)}`, alnum(30)]]],
  ['stripe-key', ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_', 'pk_live_', 'pk_test_'].map((prefix) => [`${prefix}${alnum(24)}`, alnum(24)])],
  ['stripe-key', [[`whsec_${alnum(32)}`, alnum(32)]]],
  ['anthropic-key', [[`sk-ant-api03-${alnum(80)}-AA`, alnum(80)]]],
  ['openai-key', [[`sk-${alnum(48)}`, alnum(48)], [`sk-proj-${alnum(20)}-${alnum(20)}_x`, alnum(20)], [`sk-svcacct-${alnum(40)}`, alnum(40)], [`sk-or-v1-${hex(64)}`, hex(64)]]],
  ['gcp-api-key', [[`AIza${alnum(35)}`, alnum(35)], [`?key=AIza${alnum(33)}_-`, alnum(33)], [`GOCSPX-${alnum(28)}`, alnum(28)], [`ya29.${alnum(60)}`, alnum(60)]]],
  ['npm-token', [[`npm_${alnum(36)}`, alnum(36)], [`//registry.example/:_authToken=npm_${alnum(36)}`, alnum(36)]]],
  ['pypi-token', [[`pypi-AgEIcHlwaS5vcmcC${alnum(60)}`, alnum(60)]]],
  ['azure-storage-key', [[`DefaultEndpointsProtocol=https;AccountName=x;AccountKey=${alnum(86)}==;`, alnum(86)], [`SharedAccessKey=${alnum(43)}=`, alnum(43)]]],
  ['azure-sas', [[`https://x.example/c?sv=1&sig=${alnum(40)}%3D`, alnum(40)]]],
  ['connection-string', [['mysql://root:hunter2@db/x', 'hunter2'], ['Server=db;User Id=sa;Password=hunter2;Encrypt=true', 'hunter2']]],
  ['gcp-service-account-key', [[`{"private_key_id": "${hex(40)}"}`, hex(40)]]],
  ['sendgrid-key', [[`SG.${alnum(22)}.${alnum(43)}`, alnum(43)]]],
  ['twilio-key', [[`SK${hex(32)}`, hex(32)]]],
  ['huggingface-token', [[`hf_${alnum(34)}`, alnum(34)]]],
  ['telegram-token', [[`123456789:AA${alnum(33)}`, alnum(33)], [`https://api.telegram.org/bot123456789:AA${alnum(33)}/x`, alnum(33)]]],
  ['vendor-token', [[`dop_v1_${hex(64)}`, hex(64)], [`hvs.${alnum(40)}`, alnum(40)], [`dckr_pat_${alnum(27)}`, alnum(27)]]],
  ['authorization-header', [['Authorization: Bearer abcdef', 'abcdef'], ['authorization=Token zyxwvu', 'zyxwvu'], ['"Authorization":"Basic dTpw"', 'dTpw']]],
  ['bearer-header', [[`Bearer ${alnum(32)}`, alnum(32)], ['bearer abc123def', 'abc123def'], ['header is Bearer%20x9y8z7w6', 'x9y8z7w6']]],
  ['basic-header', [['Basic dXNlcjpodW50ZXIy', 'dXNlcjpodW50ZXIy'], ['basic dTpwdw==', 'dTpwdw=='], [`Basic ${alnum(30)}`, alnum(30)]]],
  [
    'generic-secret',
    [
      ['password=hunter2', 'hunter2'],
      ['DB_PASSWORD=hunter', 'hunter'],
      ['PASSWORD = "two words"', 'two words'],
      ["passwd='x y'", 'x y'],
      ['password: hunter2', 'hunter2'],
      ['{"password":"hunter"}', 'hunter'],
      ['api_key=abcdef', 'abcdef'],
      ['apikey: "abcdef"', 'abcdef'],
      ['https://x.example/?api-key=abcdef&y=1', 'abcdef'],
      ['client_secret=abcdef', 'abcdef'],
      ['access_token=abcdef', 'abcdef'],
      ['?token=abcdef', 'abcdef'],
      ['private_key: a1b2c3', 'a1b2c3'],
    ],
  ],
];

for (const [name, secrets] of SECRETS) {
  test(`a ${name} is taken out wherever it stands`, () => {
    for (const [text, gone] of secrets) {
      for (const whole of [text, `before ${text}`, `(${text}) after`, `line\n${text}`]) {
        const scrubbed = scrubber.text(whole);
        assert.ok(scrubbed !== null && !scrubbed.includes(gone), `${whole} -> ${scrubbed}`);
        assert.ok(scrubbed.includes('[REDACTED '), whole);
      }
    }
  });

  test(`the pattern of a ${name} finds it without the help of the others`, () => {
    const pattern = CREDENTIAL_PATTERNS.find((candidate) => candidate.name === name);
    assert.ok(pattern);
    const alone = createScrubber([pattern]);
    for (const [text, gone] of secrets) assert.ok(!alone.text(text)?.includes(gone), text);
  });
}

const HARMLESS: readonly string[] = [
  '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
  '-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----',
  'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudg3jx7sq',
  'https://example.com:8080/a@b?c=d:e@f',
  'http://user@example.com/',
  'mailto:someone@example.com',
  'https://slack.com/services',
  'eyJhbGciOi',
  'AKIA is a prefix, AKIAI44QH8DHB is too short',
  `commit ${hex(40)}`,
  `sha256:${hex(64)}`,
  'c0ffee00-1234-4abc-8def-0123456789ab',
  'ghp_short and github_pat_ are prefixes',
  'a task_test_abcdefghijklmnop is not a key',
  'sk-learn-pipeline-configuration-guide',
  'risk-assessment0123456789abcdefghij',
  'npm_config_registry=https://registry.example/',
  'npm_package_dependencies_left_pad_version',
  'pypi-server-configuration-for-beginners',
  'hf_hub_download',
  'SG.short.key',
  'SKU 0123456789',
  'ratio 123456789:1',
  '12:34:56',
  'Bearer authentication is required',
  'the bearer of bad news',
  'basic authentication and basic knowledge',
  'Basic understanding',
  'the password is required',
  'password: required',
  'token: string',
  'max_tokens: 1024',
  'secretary: Smith',
  'the authorization of users',
  'a == b',
  'tokenizer=fast',
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4',
];

test('prose, digests, identifiers and public keys stay as they are', () => {
  for (const text of HARMLESS) assert.equal(scrubber.text(text), text);
});

test('every built-in pattern is RE2, needs at least one character and has its own name', () => {
  for (const { name, source, replacement } of CREDENTIAL_PATTERNS) {
    const compiled = compileRegex(source);
    assert.ok(compiled.ok && !compiled.matchesEmpty, name);
    assert.equal(replacement, `[REDACTED ${name}]`);
    assert.ok(SECRETS.some(([tested]) => tested === name), `${name} has no positives`);
  }
  assert.equal(new Set(CREDENTIAL_PATTERNS.map(({ name }) => name)).size, CREDENTIAL_PATTERNS.length);
});

test('what was taken out once stays as it is when it is scrubbed again', () => {
  for (const [, secrets] of SECRETS) {
    for (const [text] of secrets) {
      const once = scrubber.text(text);
      assert.ok(once !== null);
      assert.equal(scrubber.text(once), once, text);
    }
  }
});

test('a member that names its secret has its value taken out, and one that names a page does not', () => {
  const before = { password: 'hunter2', 'pass\u200bword': ['hunter2', 7], 'p%61ss\uff57ord': 'hunter2', deep: [{ apiKey: 12345, aws_secret_access_key: alnum(40) }], nextPageToken: alnum(20), max_tokens: 100, note: 'none' };
  const after = JSON.parse(scrubber.json(JSON.stringify(before)) ?? '') as unknown;
  assert.deepEqual(after, {
    password: '[REDACTED generic-secret]',
    'pass\u200bword': ['[REDACTED generic-secret]', '[REDACTED generic-secret]'],
    'p%61ss\uff57ord': '[REDACTED generic-secret]',
    deep: [{ apiKey: '[REDACTED generic-secret]', aws_secret_access_key: '[REDACTED aws-secret-key]' }],
    nextPageToken: alnum(20),
    max_tokens: 100,
    note: 'none',
  });
});

test('a secret is found in keys, values, numbers and escaped strings of JSON', () => {
  const key = `AKIA${upper(16)}`;
  const text = JSON.stringify({ [key]: { deep: [`x ${key}`, 'say "password=hunter2"\n'] } }).replace('hunter2', '\\u0068unter2');
  const scrubbed = scrubber.json(text);
  assert.equal(scrubbed, '{"[REDACTED aws-access-key]":{"deep":["x [REDACTED aws-access-key]","say \\"[REDACTED generic-secret]\\"\\n"]}}');
});
