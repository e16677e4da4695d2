import * as v from "valibot";

const WANTED = "an absolute http or https URL";
/** What names a target in messages, in storage and to operators. */
const LONGEST = 2_048;

/**
 * The URL of an origin server, kept as written: that is how the admin API names it. User info would end up in logs; a
 * query or a fragment has no meaning before a path that is still to come. Whether the host may be private is for the
 * whole document to say.
 */
export const targetUrl = v.pipe(
  v.string(WANTED),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? faultOf(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);

function faultOf(written: string): string | undefined {
  if (written.length > LONGEST) return `${WANTED} of at most 2,048 characters`;
  // The parser drops tabs and line breaks, reads a backslash as a slash, and does without slashes altogether.
  if (/[\s\\\p{Cc}]/u.test(written)) return `${WANTED} without spaces, control characters and backslashes`;
  if (/^wss?:/i.test(written)) return `${WANTED}: WebSockets are dialled by these, too`;
  if (!/^https?:\/\/[^/]/i.test(written) || !URL.canParse(written))
    return `${WANTED}, such as "https://api.example.com/v1"`;
  const url = new URL(written);
  if (url.username !== "" || url.password !== "" || written.split("/")[2]?.includes("@") === true) {
    return `${WANTED} without user name and password; send credentials in a header`;
  }
  if (written.includes("#")) return `${WANTED} without a fragment`;
  if (written.includes("?")) return `${WANTED} without a query`;
  return undefined;
}
