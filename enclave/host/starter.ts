// SPDX-License-Identifier: Apache-2.0
/**
 * The policy that `mcp-bastion init` writes: every key with its meaning. It denies shells and nothing else. In it, `#`
 * before an indented line switches that line off; all other comments are prose.
 */
export const STARTER_POLICY = `# Policy of mcp-bastion: what may pass between an MCP client and its servers.
# Check it with: mcp-bastion policy check FILE. Ask it with: mcp-bastion policy explain. A running gateway takes a changed
# file by itself, or on SIGHUP; a mistake leaves the old policy in force.
version: 1

# What happens to a tool that no rule below names: allow or deny.
# 'deny' also refuses the client's requests that fetch content (prompts/get, resources/read, resources/subscribe,
# completion/complete, tasks/*) unless 'methods' allows them. Listings, ping, logging/setLevel, subscriptions/listen and
# notifications stay allowed.
default: allow

# observe denies nothing, and marks in the log what enforce would deny: to try a policy out. Rules can have a mode too.
mode: enforce

# The order for every call: deny_tools, rules, require_approval, allow_tools, default.
# A pattern is matched with '<server>.<tool>' and with the tool's name alone. '*' is any text (dots too), '?' one
# character, '[abc]' or '[a-z]' one of some, '[!abc]' any other. Put patterns in quotes.

# Never called, and not shown in listings. Upper and lower case, look-alike letters and invisible characters in the name
# of a tool do not help it past a rule here or in require_approval.
deny_tools:
  - 'shell.*'
#  - '*.delete_*'

# Rules with conditions on arguments, in their order: the first that applies decides. See examples/ for whole policies.
rules: []
#  - id: project-only
#    action: deny
#    tools: ['*write*']
#    when:
#      - {arg: path, path_in: /srv/project, not: true}

# Called only after a person has approved the call: see approval below. Without approvers, such calls are refused.
require_approval: []
#  - '*.send_*'

# With 'default: deny': what may be called. Names have to match exactly, and the name alone counts only where exactly one
# server is configured.
allow_tools: []
#  - 'files.read_*'

# Replaced in what goes to the server before it is forwarded: arguments, answers to its questions, keys and numbers at any
# depth. Patterns are RE2, or named ones of the library: credentials, personal, github-token, card, iban and so on.
# 'decode: true' finds what is encoded or split, too, and takes longer.
# Known forms of credentials are always taken out of the log, with or without an entry here.
redact_args: []
#  - pattern: '\\b[0-9]{3}-[0-9]{2}-[0-9]{4}\\b'
#    replacement: '[REDACTED]'
#  - use: credentials

# The same for what comes from the server: results, errors, log messages, its questions to the client.
redact_results: []
#  - use: credentials
#    decode: true

# Which methods may pass, by exact name or pattern; the most specific entry decides. Without an entry, sampling,
# elicitation of URLs and methods that no revision defines are denied, all others are allowed.
methods: {}
#  'sampling/createMessage': allow
#  'elicitation/create:url': allow
#  'elicitation/create:form': deny

# How often, how much, how many at once. per: what is counted apart (principal, server, tool).
limits: []
#  - tools: ['*']
#    per: [principal]
#    calls: 600
#    window: '1m'
#    concurrent: 16

# Rules for one server, by its id: they come before those of the whole policy, but deny_tools of both always win.
servers: {}
#  files:
#    default: deny
#    allow_tools: ['read_*']

# Who may approve held calls, with keys that this makes: mcp-bastion approver new --name alice
#approval:
#  approvers:
#    alice: 'ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='
#  approvals: 1

# Remembers each tool's whole description and notices when it changes. The file can be reviewed and kept in git.
tool_description_pinning:
  enabled: true
  # alert, block, or approve: blocked until somebody accepts the change with mcp-bastion pins accept.
  on_drift: alert
  # A tool that was not there before: allow, alert, block or approve.
  on_new: allow
  # Relative to this file.
  path: bastion.lock.yaml

# Screening of texts for injected instructions. This build has no classifier: only 'enabled: false' is accepted.
classifier:
  enabled: false
#  threshold: 0.85
#  on_match: alert
#  model: builtin-lexical

audit:
  # Folder of the log, relative to this file. Without it: one folder per server in the state directory.
#  path: audit
  # What is kept of each message beside its row: redacted (secrets are taken out first) or none.
  payload: redacted
  # strict: a message moves only after its row is stored. intent: a result may leave before its row is stored. response:
  # a request may leave before, but nothing reaches the client before both rows are stored.
  order: strict
  # One signature for each group of rows that is stored together (per-commit), or for each row (per-row).
  signature: per-commit
  # ephemeral: a new key at each start, which never leaves memory. file: the key of key_file.
  key: ephemeral
#  key_file: audit.seed
`;
