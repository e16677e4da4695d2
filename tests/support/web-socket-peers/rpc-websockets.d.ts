/** What the tests use of the package, whose own types are found by Node's module resolution alone. */
declare module "rpc-websockets" {
  import type { EventEmitter } from "node:events";
  import type { WebSocketServer } from "ws";

  export class Client extends EventEmitter {
    constructor(url: string, options?: { readonly reconnect?: boolean });
    call(method: string, params?: readonly unknown[]): Promise<unknown>;
    subscribe(event: string): Promise<unknown>;
    close(): void;
  }

  export class Server extends EventEmitter {
    readonly wss: WebSocketServer;
    constructor(options: { readonly port: number; readonly host: string });
    // oxlint-disable-next-line typescript/no-explicit-any -- a method takes what it takes
    register(name: string, method: (params: any) => unknown): unknown;
    event(name: string): unknown;
    close(): Promise<void>;
  }
}
