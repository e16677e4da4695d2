// Makes node_modules what package-lock.json says, then ends. Plain JavaScript that Node 18 runs: the machine's own Node
// may be older than the one the project pins, and that one only exists once this file has run.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pinnedNode = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");

if (!isInstalled()) install();

/**
 * npm writes node_modules/.package-lock.json as the last act of an install, so one that was interrupted has none.
 * Comparing it with the lock file needs no stamp of our own and no network, and accepts an `npm install` made by hand.
 */
function isInstalled() {
  if (!existsSync(pinnedNode)) return false;
  const wanted = packagesOf(join(root, "package-lock.json"));
  const installed = packagesOf(join(root, "node_modules", ".package-lock.json"));
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = installed[path];
    // An optional package is left out on the platforms that it is not for.
    if (found === undefined && entry.optional === true) continue;
    if (found === undefined || found.version !== entry.version || found.integrity !== entry.integrity) return false;
  }
  return true;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
  } catch {
    return {};
  }
}

function install() {
  console.error("sluice: installing what package-lock.json says ...");
  // Without the binary the package's install script never ran; npm runs it again only for a package that isn't there.
  if (!existsSync(pinnedNode)) rmSync(join(root, "node_modules", "node"), { recursive: true, force: true });
  // Not `npm ci`: it refuses a lock file that lacks the optional packages of other platforms, which a lock file made on one
  // platform may. --no-save leaves package.json and the lock file alone; NODE_ENV=production must not leave out the tools.
  const flags = [
    "install",
    "--no-save",
    "--package-lock",
    "--include=dev",
    "--include=optional",
    "--ignore-scripts=false",
  ];
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  // Under npm the path of npm itself is known; without it, the shell's.
  const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
  const [command, ...args] = [...npm, ...flags, ...quiet];
  // npm's output goes to stderr: stdout belongs to what runs after this.
  const done = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (done.status === 0 && isInstalled()) return;
  console.error(
    `sluice: npm install ${done.status === 0 ? "left node_modules incomplete" : `failed (${done.error?.message ?? done.signal ?? `exit code ${done.status}`})`}. ` +
      "npm says why above. The first run needs the package registry; run the same command again once it can be reached.",
  );
  process.exit(1);
}
