import { startDemoOrigin } from "./demo-origin.ts";
import { StartError } from "./local/start-error.ts";
import { startLocal } from "./local/start-local.ts";
import { openState } from "./local/state.ts";
import { demoDocument, readDocument } from "./start/document.ts";
import { type Flags, readFlags, usage } from "./start/flags.ts";
import { greeting } from "./start/greeting.ts";

/** How often to look whether npm still lives, in ms: it cannot pass a SIGKILL on. */
const PARENT_CHECK_MS = 500;

/** Exit codes: what the user can cure, and what is ours. */
const CURABLE = 2;
const BROKEN = 1;

try {
  // npm changes to the package's directory; the paths on its command line are relative to where its user was.
  const base = process.env["npm_lifecycle_event"] === "start" ? process.env["INIT_CWD"] : undefined;
  const flags = readFlags(process.argv.slice(2), base ?? process.cwd());
  if (flags.help) process.stdout.write(`${usage}\n`);
  else await start(flags, endOnSignal());
} catch (error) {
  const cause = error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`sluice: ${cause}\n`);
  process.exit(error instanceof StartError ? CURABLE : BROKEN);
}

async function start(flags: Flags, ending: Ending): Promise<void> {
  const file = flags.config === undefined ? undefined : readDocument(flags.config);
  const demo = file === undefined ? await startDemoOrigin() : undefined;
  const document = file ?? demoDocument(demo?.url ?? "");
  for (const { path, message } of document.warnings) process.stderr.write(`sluice: warning: ${path}: ${message}\n`);
  const state = openState(flags.state);
  const tokenVariable = ["SLUICE_ADMIN_TOKEN", "ADMIN_KEY"].find((name) => (process.env[name] ?? "") !== "");
  const adminToken = (tokenVariable && process.env[tokenVariable]) ?? state.secret("admin-token");
  const entry = process.env["SLUICE_ENTRY"];
  const runtime = await startLocal({
    stateDirectory: state.directory,
    isolates: flags.isolates,
    host: flags.host,
    port: flags.port,
    bare: flags.bare,
    privateNetwork: document.config.allowPrivateTargets,
    // For tests: the same Worker with a fault injected.
    ...(entry === undefined ? {} : { entry }),
    variables: {
      CLIENT_IP_SOURCE: "socket",
      SLUICE_CONFIG: document.text,
      SLUICE_CONFIG_VERSION: String(state.configVersion(document.text, document.writtenAt)),
      SLUICE_ADMIN_TOKEN: adminToken,
      NAMING_SECRET: process.env["NAMING_SECRET"] ?? state.secret("naming-secret"),
    },
  });

  ending.first = async () => {
    await runtime.stop();
    demo?.close();
    state.release();
  };
  void runtime.ended.then((reason) => {
    process.stderr.write(`sluice: ${reason}\n`);
    process.exit(BROKEN);
  });

  const { urls } = runtime;
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ sluice: "ready", urls, adminToken, workerdPid: runtime.pid() })}\n`);
    return;
  }
  process.stdout.write(
    greeting({
      urls,
      config: document.config,
      adminToken,
      tokenVariable,
      state: state.directory,
      backend: flags.config ?? `a demo origin, ${demo?.url}; yours: npm start -- --config FILE`,
      path: demo === undefined ? undefined : "/api/hello",
      readyMs: Math.round(performance.now()),
    }),
  );
}

/** What has to happen before this process ends on a signal; nothing until there is a runtime. */
interface Ending {
  first: () => Promise<void>;
}

/** SIGTERM, SIGINT and SIGHUP end this process with exit code 0, a second one at once; and so does the death of npm, which started it. */
function endOnSignal(): Ending {
  const ending: Ending = { first: async () => {} };
  const end = () => {
    for (const signal of signals) process.once(signal, () => process.exit(0));
    // The last log lines are written in an immediate that was set before this one.
    void ending.first().then(() => setImmediate(() => process.exit(0)));
  };
  const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, end);
  if (process.env["npm_lifecycle_event"] === undefined) return ending;
  // A gateway left behind by a killed npm would keep the port, and nobody would know why.
  const parent = process.ppid;
  const check = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(check);
    end();
  }, PARENT_CHECK_MS);
  check.unref();
  return ending;
}
