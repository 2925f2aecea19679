// A Socket.IO chat with limits on joining, on all events, and stricter ones on a class of events.
import { createServer } from "node:http";
import { Server, type Socket } from "socket.io";
import { callerKey } from "@tidegate/limits";
import { byAddress, socketIoLimits } from "@tidegate/limits/socket.io";

export const server = createServer();
const io = new Server(server, { maxHttpBufferSize: 65_536 });

// Says who is calling, so that the limits after it can ask.
io.use((socket, next) => {
  socket.data = { user: socket.handshake.auth["token"] === "of-ada" ? "ada" : "somebody" };
  next();
});

io.use(
  socketIoLimits<Socket>({
    connections: [
      { kind: "bucket", name: "joins", count: 60, seconds: 60, burst: 20, key: byAddress },
      { kind: "concurrency", name: "sockets", limit: 5, key: byAddress },
    ],
    events: [
      // Whoever sends this much is no person.
      {
        kind: "bucket",
        name: "all",
        count: 100,
        seconds: 1,
        burst: 200,
        key: "connection",
        exceed: "disconnect",
      },
      // What is seen by others, of all devices of a user together.
      {
        kind: "window",
        name: "posts",
        limit: 3,
        seconds: 60,
        events: ["post", "reply"],
        key: (socket) => callerKey("user", String(socket.data.user)),
        exceed: "drop",
      },
    ],
  }),
);

io.on("connection", (socket) => {
  const post = (text: unknown, acknowledge: unknown): void => {
    socket.broadcast.emit("post", String(text));
    if (typeof acknowledge === "function") acknowledge({ posted: true });
  };
  socket.on("post", post);
  socket.on("reply", post);
  socket.on("typing", () => socket.broadcast.emit("typing"));
});
