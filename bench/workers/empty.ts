/** What a request costs in the runtime before anything is done with it. */
export default {
  fetch: () => new Response("{}", { headers: { "content-type": "application/json" } }),
} satisfies ExportedHandler;
