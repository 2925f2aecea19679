import type { FastifyRequest } from "fastify";

/**
 * A field of a form that was sent; an empty text when it is missing, came twice, or is longer than any of ours. Nothing here decides
 * whether it makes sense.
 */
export function readField(request: FastifyRequest, name: string): string {
  const { body } = request;
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, name)) return "";
  const value: unknown = (body as Record<string, unknown>)[name];
  return typeof value === "string" && value.length <= MAX_FIELD_LENGTH ? value : "";
}

/** A parameter of the address, in the same way. */
export function readParameter(request: FastifyRequest, name: string): string {
  const { query } = request;
  if (typeof query !== "object" || query === null || !Object.hasOwn(query, name)) return "";
  const value: unknown = (query as Record<string, unknown>)[name];
  return typeof value === "string" && value.length <= MAX_FIELD_LENGTH ? value : "";
}

/** Twice what the longest password may take. */
const MAX_FIELD_LENGTH = 2_048;
