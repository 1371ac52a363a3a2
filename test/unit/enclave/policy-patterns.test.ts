// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import { LIBRARY_NAMES, libraryPatterns, PATTERN_LIBRARY } from '../../../enclave/policy/patterns/library.ts';
import { compileRegex } from '../../../enclave/policy/regex.ts';
import { createReplacing } from '../../../enclave/policy/replace.ts';

/** Made-up values, put together here so that no scanner takes this file for a leak. */
const alnum = (length: number): string => 'aB3dE6gH9jKLmN0pQ2sT5vW8yZ'.repeat(10).slice(0, length);
const upper = (length: number): string => 'Q7ZP4XK2MWTR9ABD'.repeat(5).slice(0, length);
const hex = (length: number): string => '0f1e2d3c4b5a6978'.repeat(8).slice(0, length);
const pem = (kind: string): string => `-----BEGIN ${kind}-----\n${alnum(64)}\n-----END ${kind}-----`;
const R = '\u0001';

type Row = readonly [name: string, positives: readonly (readonly [text: string, left: string])[], negatives: readonly string[]];

/** Positives with what is left of them; `R` stands where the match was. */
const TABLE: readonly Row[] = [
  [
    'aws-access-key',
    [
      [`AKIA${upper(16)}`, R],
      [`id=ASIA${upper(16)},`, `id=${R},`],
      [`KEY_AKIA${upper(16)}`, `KEY${R}`],
      [`"A3TX${upper(16)}"`, `"${R}"`],
    ],
    [`AKIA${upper(15)}`, `XAKIA${upper(16)}`, `AKIA${upper(16)}9`, `akia${upper(16)}`],
  ],
  [
    'aws-secret-key',
    [
      [`aws_secret_access_key = ${alnum(40)}`, R],
      [`"SecretAccessKey": "${alnum(40)}"`, `"${R}"`],
      [`AWS_SESSION_TOKEN=${alnum(120)};`, `${R};`],
      [`{\\"aws_secret_key\\":\\"${alnum(40)}\\"}`, `{\\"${R}\\"}`],
    ],
    [alnum(40), 'aws_secret_access_key is not set', 'aws_secret_access_key=short', 'the secret access key: see the vault'],
  ],
  [
    'gcp-api-key',
    [
      [`AIza${alnum(35)}`, R],
      [`?key=AIza${alnum(35)}&x=1`, `?key=${R}&x=1`],
      [`GOCSPX-${alnum(28)}`, R],
      [`token ya29.${alnum(50)}`, `token ${R}`],
    ],
    [`AIza${alnum(34)}`, 'AIzaSy', `GOCSPX-${alnum(10)}`, `xya29.${alnum(50)}`],
  ],
  [
    'gcp-service-account-key',
    [
      [`"private_key_id": "${hex(40)}"`, `"${R}"`],
      [`private_key_id:${hex(40)}`, R],
      [`"private_key": "-----BEGIN PRIVATE KEY-----\\n${alnum(64)}\\n-----END PRIVATE KEY-----\\n",`, `"${R}",`],
      [`{\\"private_key_id\\":\\"${hex(40)}\\"}`, `{\\"${R}\\"}`],
    ],
    ['"private_key_id": "short"', hex(40), 'private_key: see the vault', '"public_key_id": "abc"'],
  ],
  [
    'azure-storage-key',
    [
      [`AccountKey=${alnum(86)}==;`, `${R};`],
      [`SharedAccessKey=${alnum(43)}=`, R],
      [`accountkey=${alnum(40)}`, R],
      [`Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=${alnum(43)}=`, `Endpoint=sb://x/;SharedAccessKeyName=Root;${R}`],
    ],
    ['AccountKey=short', 'AccountName=mystorageaccountisverylong', 'SharedAccessKeyName=RootManageSharedAccessKey', `Key=${alnum(86)}`],
  ],
  [
    'azure-sas',
    [
      [`?sv=1&sig=${alnum(43)}%3D`, `?sv=1${R}`],
      [`?sig=${alnum(43)}=&se=2`, `${R}&se=2`],
      [`&amp;sig=${alnum(43)}`, `&amp${R}`],
      [`SharedAccessSignature=${alnum(60)}`, R],
    ],
    ['?sig=short', `sigma=${alnum(43)}`, `?signature=${alnum(43)}`, 'SharedAccessSignature is a kind of token'],
  ],
  [
    'github-token',
    [
      [`ghp_${alnum(36)}`, R],
      [`github_pat_${alnum(22)}_${alnum(59)}`, R],
      [`url=https://x:ghs_${alnum(36)}@github.com`, `url=https://x:${R}@github.com`],
      [`TOKEN_gho_${alnum(36)}.`, `TOKEN_${R}.`],
    ],
    ['ghp_short', `ghx_${alnum(36)}`, 'github_pat_', `gh-${alnum(36)}`],
  ],
  [
    'gitlab-token',
    [
      [`glpat-${alnum(20)}`, R],
      [`x glrt-${alnum(20)} y`, `x ${R} y`],
      [`gldt-${alnum(20)}`, R],
      [`"glcbt-64_${alnum(20)}"`, `"${R}"`],
    ],
    ['glpat-short', `xglpat-${alnum(20)}`, `glxyz-${alnum(20)}`, 'glass-house-windows-are-expensive'],
  ],
  [
    'slack-token',
    [
      [`xoxb-123456789012-${alnum(24)}`, R],
      [`xoxp-1-2-3-${hex(32)}`, R],
      [`xapp-1-A0-${alnum(30)}`, R],
      [`xoxe.xoxp-1-${alnum(30)}`, R],
    ],
    ['xoxb-short', `xox-${alnum(24)}`, 'xapp-one-two', 'xoxo hugs'],
  ],
  [
    'slack-webhook',
    [
      [`https://hooks.slack.com/services/T${upper(8)}/B${upper(8)}/${alnum(24)}`, `https://${R}`],
      [`hooks.slack.com/workflows/${alnum(40)}`, R],
      [`hooks.slack.com/triggers/${alnum(40)}`, R],
      [`hooks.slack-gov.com/services/${alnum(40)}`, R],
    ],
    ['https://hooks.slack.com/', 'hooks.slack.com/services/short', `hooks.example.com/services/${alnum(40)}`, `https://slack.com/services/${alnum(40)}`],
  ],
  [
    'stripe-key',
    [
      [`sk_live_${alnum(24)}`, R],
      [`rk_test_${alnum(24)}`, R],
      [`whsec_${alnum(32)}`, R],
      [`MY_sk_live_${alnum(24)}`, `MY${R}`],
    ],
    ['sk_live_short', `task_test_${alnum(24)}`, `sk_prod_${alnum(24)}`, 'whsec_'],
  ],
  [
    'openai-key',
    [
      [`sk-${alnum(48)}`, R],
      [`sk-proj-${alnum(20)}-${alnum(20)}`, R],
      [`key: sk-svcacct-${alnum(40)}.`, `key: ${R}.`],
      [`sk-or-v1-${hex(64)}`, R],
    ],
    ['sk-learn-pipeline-configuration-guide', `risk-${alnum(30)}`, 'sk-short', `disk-${alnum(30)}`],
  ],
  [
    'anthropic-key',
    [
      [`sk-ant-api03-${alnum(80)}-AA`, R],
      [`sk-ant-admin01-${alnum(80)}`, R],
      [`x=sk-ant-${alnum(16)}`, `x=${R}`],
      [`(sk-ant-oat01-${alnum(40)})`, `(${R})`],
    ],
    ['sk-ant-', 'sk-ant-short', `skant-${alnum(40)}`, 'an ant'],
  ],
  [
    'huggingface-token',
    [
      [`hf_${alnum(34)}`, R],
      [`HF_hf_${alnum(34)}`, `HF${R}`],
      [`api_org_${alnum(34)}`, R],
      [`"hf_${alnum(30)}"`, `"${R}"`],
    ],
    ['hf_hub_download', `xhf_${alnum(34)}`, `hf-${alnum(34)}`, `hf_${alnum(20)}`],
  ],
  [
    'npm-token',
    [
      [`npm_${alnum(36)}`, R],
      [`:_authToken=npm_${alnum(36)}`, `:_authToken=${R}`],
      [`'npm_${alnum(36)}'`, `'${R}'`],
      [`NPM_TOKEN: npm_${alnum(36)}`, `NPM_TOKEN: ${R}`],
    ],
    ['npm_config_registry', 'npm_package_dependencies_left_pad_version', `npm-${alnum(36)}`, `npm_${alnum(20)}`],
  ],
  [
    'pypi-token',
    [
      [`pypi-AgEIcHlwaS5vcmcC${alnum(60)}`, R],
      [`password = pypi-AgE${alnum(40)}`, `password = ${R}`],
      [`pypi-${alnum(45)}`, R],
      [`"pypi-AgE${alnum(100)}"`, `"${R}"`],
    ],
    ['pypi-server-configuration-for-beginners', 'pypi-AgE', `pypi_${alnum(60)}`, 'pypi.org/simple'],
  ],
  [
    'sendgrid-key',
    [
      [`SG.${alnum(22)}.${alnum(43)}`, R],
      [`key=SG.${alnum(22)}.${alnum(43)};`, `key=${R};`],
      [`"SG.${alnum(16)}.${alnum(16)}"`, `"${R}"`],
      [`Bearer SG.${alnum(22)}.${alnum(43)}`, `Bearer ${R}`],
    ],
    ['SG.short.key', `MSG.${alnum(22)}.${alnum(43)}`, `SG-${alnum(22)}`, `SG.${alnum(22)}`],
  ],
  [
    'twilio-key',
    [
      [`SK${hex(32)}`, R],
      [`sid SK${hex(32)}.`, `sid ${R}.`],
      [`TWILIO_AUTH_TOKEN=${hex(32)}`, R],
      [`"twilio_auth_token": "${hex(32)}"`, `"${R}"`],
    ],
    [`SK${hex(31)}`, `AC${hex(32)}`, `TASK${hex(32)}`, 'SKU 0123456789'],
  ],
  [
    'telegram-token',
    [
      [`123456789:AA${alnum(33)}`, R],
      [`https://api.telegram.org/bot123456789:AA${alnum(33)}/x`, `https://api.telegram.org/${R}/x`],
      [`t=12345678:${alnum(35)}`, `t=${R}`],
      [`"1234567890:AA${alnum(33)}"`, `"${R}"`],
    ],
    ['123456789:1', `1234567:${alnum(35)}`, '12:34:56', `123456789-${alnum(35)}`],
  ],
  [
    'private-key',
    [
      [pem('PRIVATE KEY'), R],
      [`a\n${pem('OPENSSH PRIVATE KEY')}\nb`, `a\n${R}\nb`],
      [`AGE-SECRET-KEY-1${upper(58)}`, R],
      [`${pem('PGP PRIVATE KEY BLOCK')}${pem('RSA PRIVATE KEY')}`, `${R}${R}`],
    ],
    [pem('CERTIFICATE'), pem('PUBLIC KEY'), 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudg3jx7sq', 'BEGIN PRIVATE KEY'],
  ],
  [
    'jwt',
    [
      [`eyJ${alnum(20)}.eyJ${alnum(40)}.${alnum(43)}`, R],
      [`t=eyJ${alnum(20)}.eyJ${alnum(40)}.;`, `t=${R};`],
      [`eyJ${alnum(20)}.${alnum(20)}.${alnum(20)}.${alnum(20)}.${alnum(20)}`, R],
      [`Bearer eyJ${alnum(20)}.eyJ${alnum(40)}.${alnum(43)}`, `Bearer ${R}`],
    ],
    ['eyJhbGciOi', `eyJ${alnum(20)}`, `eyJ${alnum(20)}.${alnum(3)}`, `eyj${alnum(20)}.eyj${alnum(20)}.x`],
  ],
  [
    'connection-string',
    [
      ['postgres://app:hunter2@db.example/x', `${R}db.example/x`],
      ['mongodb+srv://u:p@ss@host/db', `${R}host/db`],
      ['redis://:hunter2@localhost:6379', `${R}localhost:6379`],
      ['amqps://guest:guest@mq/%2f', `${R}mq/%2f`],
      ['mysql://root:hunter2@h', `${R}h`],
      ['jdbc:postgresql://h/db?user=u&password=hunter2', R],
      ['jdbc:oracle:thin:scott/tiger@//h:1521/x', `${R}//h:1521/x`],
      ['Server=db;Password=hunter 2;Encrypt=true', `Server=db${R};Encrypt=true`],
      ['Pwd=hunter2;Server=db', `${R}Server=db`],
    ],
    ['postgres://db.example/x', 'https://example.com:8080/a@b', 'jdbc:postgresql://h/db?user=u', 'Server=db;User Id=sa', 'mysql://root@h/x'],
  ],
  [
    'url-credentials',
    [
      ['https://user:p%40ss@example.com', `${R}example.com`],
      [`https://${alnum(24)}@git.example`, `${R}git.example`],
      ['ftp://:hunter2@h', `${R}h`],
      ['see custom+x://a:b@c.', `see ${R}c.`],
    ],
    ['https://example.com:8080/a@b?c=d:e@f', 'http://user@example.com/', 'mailto:someone@example.com', 'a://b'],
  ],
  [
    'authorization-header',
    [
      ['Authorization: Bearer abcdef', R],
      ['authorization=Token zyxwvu', R],
      ['"Authorization":"Basic dTpw"', `"${R}"`],
      ['{\\"authorization\\": \\"abcdefgh\\"}', `{\\"${R}\\"}`],
    ],
    ['the authorization of users', 'authorization: none', 'Authorization', 'authorization = '],
  ],
  [
    'bearer-header',
    [
      [`Bearer ${alnum(32)}`, R],
      ['bearer abc123def', R],
      ['x Bearer%20x9y8z7w6;', `x ${R};`],
      [`BEARER\t${alnum(32)}==`, R],
    ],
    ['Bearer authentication is required', 'the bearer of bad news', 'forbearer abc123def', 'Bearer'],
  ],
  [
    'basic-header',
    [
      ['Basic dXNlcjpodW50ZXIy', R],
      ['basic dTpwdw==', R],
      [`Basic ${alnum(30)}`, R],
      ['x: basic%20dTpwdw==,', `x: ${R},`],
    ],
    ['basic authentication and basic knowledge', 'Basic understanding', 'Visual Basic', 'basics dTpwdw'],
  ],
  [
    'vendor-token',
    [
      [`dop_v1_${hex(64)}`, R],
      [`hvs.${alnum(40)}`, R],
      [`dckr_pat_${alnum(27)}`, R],
      [`"glsa_${alnum(32)}_0f1e2d3c"`, `"${R}"`],
    ],
    ['hvs.short', `xdckr_pat_${alnum(27)}`, 'r8_', `ntm_${alnum(40)}`],
  ],
  [
    'generic-secret',
    [
      ['password=hunter2', R],
      ['DB_PASSWORD="two words" x', `${R} x`],
      ['{"apiKey":"abcdef"}', `{"${R}}`],
      ['client_secret: a1b2c3', R],
      ['page_token=x&access_token=abcdef', `page_token=x&${R}`],
    ],
    ['the password is required', 'token: string', 'max_tokens: 1024', 'tokenizer=fast', '"nextPageToken": "CAUQAA1"', 'continuation_token=abc123', 'progressToken: "t1"'],
  ],
  [
    'email',
    [
      ['ann@example.com', R],
      ['<a.b+c@mail.example.co.uk>', `<${R}>`],
      ['ren\u00e9@b\u00fccher.example,', `${R},`],
      ['x@xn--bcher-kva.xn--p1ai', R],
      ["o'neil_1@example.museum.", `${R}.`],
    ],
    ['ann@localhost', '@example.com', 'a @ b.com', 'ann@example', 'x@y.1'],
  ],
  [
    'phone',
    [
      ['+49 151 23456789', R],
      ['+14155550132', R],
      ['call 0044 20 7946 0958.', `call ${R}.`],
      ['(415) 555-0132', R],
      ['415.555.0132', R],
      ['+1 (415) 555-0132', R],
    ],
    ['2024-05-06', '1234567890', '+12', 'a+1234567890', '192.168.100.200', '100-200-3000'],
  ],
  [
    'iban',
    [
      ['DE89370400440532013000', R],
      ['GB29 NWBK 6016 1331 9268 19', R],
      ['to FR14 2004 1010 0505 0001 3M02 606 now', `to ${R} now`],
      ['ES91 2100 0418 4502 0005 1332 CODE', `${R} CODE`],
      ['de89370400440532013000', R],
      ['NO93-8601-1117-947', R],
    ],
    ['DE89370400440532013001', 'GB29 NWBK 6016 1331 9268 18', 'AB12', 'XDE89370400440532013000', 'DE89 word word word'],
  ],
  [
    'card',
    [
      ['4111111111111111', R],
      ['4111-1111-1111-1111', R],
      ['5555 5555 5555 4444 123', `${R} 123`],
      ['12 378282246310005.', `12 ${R}.`],
      ['23 4012888888881881', `23 ${R}`],
      ['4111\u00a01111\u00a01111\u00a01111', R],
    ],
    ['4111111111111112', '41111111111111', '1700000000000', '41111111111111111111111', '9111111111111111', 'x4111111111111111'],
  ],
  [
    'us-ssn',
    [
      ['078-05-1120', R],
      ['ssn 219 09 9999.', `ssn ${R}.`],
      ['899-99-9999', R],
      ['(665-01-0001)', `(${R})`],
    ],
    ['000-12-3456', '666-12-3456', '900-12-3456', '123-00-4567', '123-45-0000', '078051120', '2023-11-05', '1078-05-1120'],
  ],
  [
    'ipv4-private',
    [
      ['10.0.0.1', R],
      ['http://192.168.1.20:8080/', `http://${R}:8080/`],
      ['172.16.0.1 and 172.31.255.255', `${R} and ${R}`],
      ['[10.255.255.255]', `[${R}]`],
    ],
    ['8.8.8.8', '172.32.0.1', '192.169.1.1', '10.0.0', '10.0.0.256', '110.0.0.1'],
  ],
];

for (const [name, positives, negatives] of TABLE) {
  const replacing = createReplacing((libraryPatterns(name) ?? []).map((pattern) => ({ ...pattern, replacement: R })));

  test(`the library's ${name} finds what it should and leaves the rest of the text`, () => {
    assert.ok(positives.length >= 4);
    for (const [text, left] of positives) assert.equal(replacing.text(text, () => false), left, text);
  });

  test(`the library's ${name} leaves what only resembles it`, () => {
    assert.ok(negatives.length >= 4);
    for (const text of negatives) assert.equal(replacing.text(text, () => false), text);
  });
}

test('every pattern of the library is tested, documented, RE2, and named in lower case', () => {
  assert.deepEqual(TABLE.map(([name]) => name).sort(), [...PATTERN_LIBRARY.keys()].sort());
  for (const { name, about, source } of PATTERN_LIBRARY.values()) {
    assert.match(name, /^[a-z0-9]+(?:-[a-z0-9]+)*$/);
    assert.match(about, /^\S.{8,}[^.]$/);
    const compiled = compileRegex(source);
    assert.ok(compiled.ok && !compiled.matchesEmpty, name);
  }
});

test('a name gives one pattern, a group all of its patterns in order, and another name none', () => {
  assert.deepEqual(libraryPatterns('jwt')?.map(({ name, replacement }) => [name, replacement]), [['jwt', '[REDACTED jwt]']]);
  assert.deepEqual(libraryPatterns('personal')?.map(({ name }) => name), ['email', 'iban', 'card', 'phone', 'us-ssn', 'ipv4-private']);
  const both = [...(libraryPatterns('credentials') ?? []), ...(libraryPatterns('personal') ?? [])];
  assert.deepEqual(both.map(({ name }) => name), [...PATTERN_LIBRARY.keys()]);
  assert.deepEqual(LIBRARY_NAMES, ['credentials', 'personal', ...PATTERN_LIBRARY.keys()]);
  for (const name of ['', 'JWT', 'constructor', '__proto__', 'jwt ']) assert.equal(libraryPatterns(name), null);
});

test('what a group took out stays as it is when it is applied again', () => {
  for (const group of ['credentials', 'personal']) {
    const replacing = createReplacing(libraryPatterns(group) ?? []);
    for (const [, positives] of TABLE) {
      for (const [text] of positives) {
        const once = replacing.text(text, () => false);
        assert.ok(once !== null);
        assert.equal(replacing.text(once, () => false), once, text);
      }
    }
  }
});
