// SPDX-License-Identifier: Apache-2.0
/** `mcp-bastion policy`: what people do with a policy before it decides anything. */
import { Usage } from '../../../shared/errors.ts';
import { policyCheck } from './check.ts';
import { policyExplain } from './explain.ts';
import type { PolicyIo } from './replay-command.ts';
import { policyReplay } from './replay-command.ts';
import { policyTest } from './test-run.ts';

export const POLICY_USAGE = `usage: mcp-bastion policy check FILE [--strict] [--json]
       mcp-bastion policy explain --policy FILE [--server S] --tool T [--args JSON]
       mcp-bastion policy explain --policy FILE [--server S] --method M [--params JSON]
       mcp-bastion policy test FILE ... [--json]
       mcp-bastion policy replay --policy FILE --log DIR [--tools FILE] [--json]

check    says what is wrong with a policy, and what may not be meant
explain  says what a policy decides on one call or message, and why
test     runs the tests of policy_test.yaml files
replay   says which decisions of a recorded log the policy would change

  --server S         the server's id; default: server
  --servers one|several
                     whether the gateway has one server, so that allow rules may
                     name a bare tool; default: one
  --principal P      who asks; default: local
  --args JSON        the arguments of the call; without them, what a listing shows
  --direction c2s|s2c
                     who sends the method: the client (default) or the server
  --strict           check: warnings are errors too
  --tools FILE       replay: names of tools, one a line, for logs without payloads
  --json             print one JSON document

Exit status: 0 valid, as expected, or shown; 1 a test failed, or --strict found something;
2 usage, or the policy is not valid; 3 a file could not be read.

examples:
  mcp-bastion policy explain --policy policy.yaml --server files --tool write_file --args '{"path":"/etc/passwd"}'
  mcp-bastion policy test examples/*/policy_test.yaml
`;

/** Runs the command and returns its exit code. */
export function policyCommand(args: readonly string[], io: PolicyIo): Promise<number> {
  const [what, ...rest] = args;
  switch (what) {
    case 'check':
      return policyCheck(rest, io);
    case 'explain':
      return policyExplain(rest, io);
    case 'test':
      return policyTest(rest, io);
    case 'replay':
      return policyReplay(rest, io);
    case undefined:
      throw new Usage('USAGE', 'say what to do with the policy', 'check, explain, test or replay; see: mcp-bastion policy --help');
    default:
      throw new Usage('USAGE', 'there is no such policy command', 'check, explain, test or replay; see: mcp-bastion policy --help');
  }
}
