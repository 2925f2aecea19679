import type { FastifyInstance } from "fastify";
import { ASSETS } from "./assets.ts";

/** Serves what pages refer to. Asked for each time, answered with 304 while it is the same. */
export function servePageAssets(app: FastifyInstance): void {
  for (const asset of ASSETS) {
    app.get(asset.path, async (request, reply) => {
      reply.headers({ etag: asset.etag, "cache-control": "public, no-cache" });
      if (knows(request.headers["if-none-match"], asset.etag)) return reply.code(304).send();
      return reply.type(asset.type).send(asset.bytes);
    });
  }
}

/** RFC 9110 §13.1.2: a list of tags, compared weakly, or `*`. */
const knows = (field: string | undefined, etag: string): boolean =>
  field !== undefined &&
  field.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
