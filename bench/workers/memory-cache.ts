/** What was put, by cache and URL. */
const kept = new Map<string, { readonly head: readonly (readonly [string, string])[]; readonly body: Uint8Array }>();

/**
 * The other side of the Cache API as workerd speaks it, in memory: a GET asks, a PUT brings a response as HTTP writes it, a PURGE forgets. It
 * has no judgement: those who are compared over it never put what may not be kept.
 */
export default {
  async fetch(request: Request): Promise<Response> {
    const name = `${request.headers.get("cf-cache-namespace") ?? ""} ${request.url}`;
    if (request.method === "PURGE") return new Response(null, { status: kept.delete(name) ? 200 : 404 });
    if (request.method === "PUT") {
      kept.set(name, read(new Uint8Array(await request.arrayBuffer())));
      return new Response(null, { status: 204 });
    }
    const found = kept.get(name);
    if (found === undefined) return new Response(null, { status: 504, headers: { "cf-cache-status": "MISS" } });
    const headers = new Headers({ "cf-cache-status": "HIT" });
    for (const [field, value] of found.head) headers.append(field, value);
    return new Response(found.body, { headers });
  },
};

function read(message: Uint8Array) {
  const text = new TextDecoder("latin1").decode(message);
  const end = text.indexOf("\r\n\r\n");
  const [, ...lines] = text.slice(0, end).split("\r\n");
  const head = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  return { head, body: message.slice(end + 4) };
}
