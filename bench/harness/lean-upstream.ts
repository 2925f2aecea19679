// What stands behind every contender: a raw-socket server in a process of its own that answers every GET with the
// same 64 bytes, at less cost than any HTTP library. `GET /inspect` answers with the head it received, so that a
// bench can see what reaches a service. Prints `listening <port>`.

import { createServer } from "node:net";
import { BODY } from "./upstream-body.ts";

const HEAD_END = Buffer.from("\r\n\r\n");
const INSPECT = "GET /inspect";
const answer = (body: Buffer, type: string): Buffer =>
  Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`,
    ),
    body,
  ]);
const ANSWER = answer(BODY, "application/octet-stream");

const server = createServer({ noDelay: true }, (socket) => {
  let received: Buffer = Buffer.alloc(0);
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    for (;;) {
      const end = received.indexOf(HEAD_END);
      if (end < 0) return;
      const head = received.subarray(0, end + HEAD_END.length);
      received = received.subarray(head.length);
      const isInspect = head.toString("latin1", 0, INSPECT.length) === INSPECT;
      socket.write(isInspect ? answer(head, "text/plain") : ANSWER);
    }
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") console.log(`listening ${address.port}`);
});
