// A provider that says too much: whatever it is asked, it answers with errors and facts full of secrets.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Nest } from "./secret-nest.ts";

/** A provider that answers whatever is asked with errors and facts full of secrets. */
export async function startTalkativeProvider(nest: Nest) {
  const answers = {
    error: JSON.stringify({
      error: nest.plant("provider's error"),
      error_description: nest.plant("provider's error description"),
    }),
    refused: JSON.stringify({ active: false, hint: nest.plant("provider's refusal") }),
    broken: `{"active": true, "sub": "${nest.plant("provider's broken answer")}`,
    foreign: JSON.stringify({
      active: true,
      iss: `https://${nest.plant("foreign issuer of an answer")}.test`,
      sub: "someone",
    }),
  };
  const state: { mode: keyof typeof answers | "cut" } = { mode: "refused" };
  const reasonPhrase = nest.plant("provider's reason phrase");
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === "/.well-known/openid-configuration") {
      const endpoint = `${url}/introspect?${secretQuery}`;
      response.end(JSON.stringify({ issuer: url, introspection_endpoint: endpoint }));
      return;
    }
    request.resume().on("end", () => {
      if (state.mode === "cut") {
        request.socket.destroy();
        return;
      }
      const status = state.mode === "error" ? 500 : 200;
      response.writeHead(status, reasonPhrase, {
        "x-debug": nest.plant(`provider's field ${nest.planted.size}`),
      });
      response.end(answers[state.mode]);
    });
  };
  const secretQuery = `key=${nest.plant("query of the provider's endpoint")}`;
  const server = createServer(serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  const url = `http://127.0.0.1:${address.port}`;
  return {
    url,
    state,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
