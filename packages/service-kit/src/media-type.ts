import type { FastifyReply, FastifyRequest } from "fastify";
import { serviceFault } from "./fault.ts";

/** Refuses a body of another type before a byte of it is read, and names the right one (RFC 5789 §3.1 for PATCH). */
export async function requireMediaType(
  request: FastifyRequest,
  _reply: FastifyReply,
): Promise<void> {
  const { takes } = request.routeOptions.config;
  const field = request.headers["content-type"];
  if (takes === undefined || field === undefined) return;
  const given = field.split(";", 1)[0]?.trim().toLowerCase();
  if (given === takes) return;
  throw serviceFault("media_type_unsupported", `Cannot read the body: send it as ${takes}`, {
    headers: request.method === "PATCH" ? { "accept-patch": takes } : { accept: takes },
  });
}
