import { createServer } from "node:http";
import {
  execute,
  GraphQLInt,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  parse,
  subscribe,
  validate,
} from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { closed, listening, type Peer } from "./peer.ts";

const query = new GraphQLObjectType({
  name: "Query",
  fields: { hello: { type: GraphQLString, resolve: () => "world" } },
});
const subscription = new GraphQLObjectType({
  name: "Subscription",
  fields: {
    count: {
      type: GraphQLInt,
      args: { to: { type: new GraphQLNonNull(GraphQLInt) } },
      async *subscribe(_source: unknown, { to }: { readonly to: number }) {
        for (let count = 1; count <= to; count += 1) yield { count };
      },
    },
  },
});

/** Counts for whoever subscribes; refuses the token `wrong`, and whoever does not begin in time. */
export async function graphqlPeer(wanted = 0, beginMs = 1_000): Promise<Peer> {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  const graphql = useServer(
    {
      schema: new GraphQLSchema({ query, subscription }),
      // Its own would come from the package's other build, for which this schema is none.
      execute,
      subscribe,
      parse,
      validate,
      connectionInitWaitTimeout: beginMs,
      onConnect: ({ connectionParams }) => connectionParams?.["token"] !== "wrong",
    },
    server,
  );
  const port = await listening(http, wanted);
  return {
    port,
    stop: async () => {
      // Killed: nobody is told 1001.
      for (const socket of server.clients) socket.terminate();
      await graphql.dispose();
      await closed(http);
    },
  };
}
