// Upstreams that answer as a test says, for the tests of forwarding.

import type { Socket } from "node:net";
import { startRawServer, type RawAnswer, type RawServer } from "@tidegate/testkit";
import { readProblem } from "./http-harness.ts";

export const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
export const problemOf = (answer: RawAnswer): string =>
  readProblem(answer).type.replace(/^.*\//, "");

/** An upstream that writes `answer` when a request's head has come, on any connection. */
export const scripted = (
  answer: string | ((socket: Socket, index: number, count: number) => void),
): Promise<RawServer> =>
  startRawServer((socket, index) => {
    let count = 0;
    let pending = "";
    socket.on("data", (bytes: Buffer) => {
      pending += bytes.toString("latin1");
      const end = pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      pending = pending.slice(end + 4);
      if (typeof answer === "function") answer(socket, index, count++);
      else socket.write(answer, "latin1");
    });
    socket.on("end", () => socket.end());
  });

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
