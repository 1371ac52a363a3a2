// SPDX-License-Identifier: Apache-2.0
/**
 * The policy that `mcp-bastion init` writes: every key with its meaning. It denies shells and nothing else. In it, `#`
 * before an indented line switches that line off; all other comments are prose.
 */
export const STARTER_POLICY = `# Policy of mcp-bastion: what may pass between an MCP client and its servers.
# Check it by starting the gateway: every mistake is reported with its line, column and a hint.
version: 1

# What happens to a tool that no rule below names: allow or deny.
# 'deny' also refuses the client's requests that fetch content (prompts/get, resources/read, resources/subscribe,
# completion/complete, tasks/*) unless 'methods' allows them. Listings, ping, logging/setLevel, subscriptions/listen and
# notifications stay allowed.
default: allow

# Rules are tried in this order: deny_tools, require_approval, allow_tools, default.
# A pattern is matched with '<server>.<tool>' and with the tool's name alone. '*' is any text (dots too), '?' one
# character, '[abc]' or '[a-z]' one of some, '[!abc]' any other. Put patterns in quotes.

# Never called, and not shown in listings. Upper and lower case, look-alike letters and invisible characters in the name
# of a tool do not help it past a rule here or in require_approval.
deny_tools:
  - 'shell.*'
#  - '*.delete_*'

# Called only after a person has approved the call. Until approvals are set up, such calls are refused.
require_approval: []
#  - '*.send_*'

# With 'default: deny': what may be called. Names have to match exactly, and the name alone counts only where exactly one
# server is configured.
allow_tools: []
#  - 'files.read_*'

# Replaced in the arguments of calls before they are forwarded: strings, keys and numbers at any depth. Patterns are RE2.
# Known forms of credentials are always taken out of the log, with or without an entry here.
redact_args: []
#  - pattern: '\\b[0-9]{3}-[0-9]{2}-[0-9]{4}\\b'
#    replacement: '[REDACTED]'

# Which methods may pass, by exact name or pattern; the most specific entry decides. Without an entry, sampling,
# elicitation of URLs and methods that no revision defines are denied, all others are allowed.
methods: {}
#  'sampling/createMessage': allow
#  'elicitation/create:url': allow
#  'elicitation/create:form': deny

# Remembers each tool's whole description and notices when it changes. The file can be reviewed and kept in git.
tool_description_pinning:
  enabled: true
  # alert or block
  on_drift: alert
  # A tool that was not there before: allow, alert or block.
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
