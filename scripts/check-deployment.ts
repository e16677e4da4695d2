import { readWranglerFile } from "./local/manifest.ts";
import { publicCaches, refusal } from "./deploy/public-cache.ts";

// Run by `wrangler deploy` as its build command, and by `npm run check`.
const places = publicCaches(await readWranglerFile(process.argv[2]));
for (const place of places) console.error(refusal(place));
process.exitCode = places.length === 0 ? 0 : 1;
