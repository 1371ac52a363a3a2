// SPDX-License-Identifier: Apache-2.0
/**
 * The `mcp-bastion` command. Standard output is data, standard error is talk; exit codes: 0 done, 1 does not match, 2 usage,
 * 3 unable.
 */
import { Unavailable, Usage } from '../../shared/errors.ts';
import { VERSION } from '../../shared/version.ts';

/** The first with ML-DSA and ML-KEM in node:crypto. */
const NODE_MIN = [24, 7] as const;

const USAGE = `usage: mcp-bastion COMMAND [options]

  up           run an MCP server behind the gateway
  init         write a commented starter policy
  policy       check, explain, test or replay a policy
  inspect-log  show or verify the audit log
  pins         show, compare, accept or reject what servers say of themselves
  token        make a token for clients of the HTTP face
  approver     make the key of a person who approves calls
  approvals    show the calls that wait for approval, and decide on them
  audit        look after the audit log: erase, recover
  keys         show, export or rotate the key of the audit log
  version      print the version

"mcp-bastion COMMAND --help" says more.
`;

/** What is wrong stands in a file, not on the command line. */
const aboutDocuments: ReadonlySet<string> = new Set(['POLICY_INVALID', 'CONFIG_INVALID', 'SECRET_IN_CONFIG']);

const EXIT_USAGE = 2;
const EXIT_UNABLE = 3;

async function run(command: string, args: string[]): Promise<number> {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  const help = own.includes('--help') || own.includes('-h');
  const io = { stdout: process.stdout, stderr: process.stderr, env: process.env, cwd: process.cwd(), now: () => Date.now() };
  switch (command) {
    case 'up': {
      const { up, UP_USAGE } = await import('./up.ts');
      if (!help) return up(args);
      process.stdout.write(UP_USAGE);
      return 0;
    }
    case 'init': {
      const { initPolicy } = await import('./init.ts');
      return initPolicy(args, io);
    }
    case 'inspect-log': {
      const { inspectLog } = await import('./inspect.ts');
      return inspectLog(args, io);
    }
    case 'policy': {
      const { policyCommand, POLICY_USAGE } = await import('./policy/command.ts');
      if (!help) return policyCommand(args, io);
      process.stdout.write(POLICY_USAGE);
      return 0;
    }
    case 'pins': {
      const { pinsCommand } = await import('./pins.ts');
      return pinsCommand(args, io);
    }
    case 'token': {
      const { tokenCommand } = await import('./token.ts');
      return tokenCommand(args, io);
    }
    case 'approver': {
      const { approverCommand } = await import('./approver.ts');
      return approverCommand(args, io);
    }
    case 'approvals': {
      const { approvalsCommand } = await import('./approvals.ts');
      return approvalsCommand(args, io);
    }
    case 'audit': {
      const { auditCommand } = await import('./audit.ts');
      return auditCommand(args, io);
    }
    case 'keys': {
      const { keysCommand } = await import('./keys.ts');
      return keysCommand(args, io);
    }
    case 'version':
    case '--version':
      process.stdout.write(`mcp-bastion ${VERSION}\n`);
      return 0;
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    default:
      throw new Usage('USAGE', command === '' ? 'a command is missing' : 'there is no such command', 'see: mcp-bastion --help');
  }
}

async function main(): Promise<number> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
    // better-sqlite3 crashes the process on older versions: refuse before anything native is loaded.
    process.stderr.write(`mcp-bastion: error: Node ${process.versions.node} is too old\nhint: install Node ${NODE_MIN.join('.')} or newer\n`);
    return EXIT_UNABLE;
  }
  const [command = '', ...args] = process.argv.slice(2);
  try {
    return await run(command, args);
  } catch (error) {
    if (!(error instanceof Usage) && !(error instanceof Unavailable)) throw error;
    const who = command === '' || aboutDocuments.has(error.code) ? 'mcp-bastion' : command;
    process.stderr.write(`${who}: error: ${error.message}\nhint: ${error.hint}\n`);
    return error instanceof Usage ? EXIT_USAGE : EXIT_UNABLE;
  }
}

process.exit(await main());
