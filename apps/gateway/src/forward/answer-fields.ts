import { isCorsField } from "../route/cors.ts";
import type { Route } from "../route/route.ts";
import { answerFieldFate, FATE, trailerFate } from "./field-fate.ts";
import { setsOurCookie } from "./own-cookies.ts";

/**
 * The fields of an answer as they go to the client: without what ended at the upstream's connection, without
 * what only the gateway may say, and without CORS fields where the route has its own.
 * @param fields flat list @returns a new flat list, to be added to
 */
export function toClientFields(fields: readonly string[], route?: Pick<Route, "config">): string[] {
  const hasCors = route?.config.cors !== undefined;
  const kept: string[] = [];
  let options: readonly string[] | undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at] as string;
    const value = fields[at + 1] as string;
    const fate = answerFieldFate(name);
    if (hasCors && isCorsField(name)) continue;
    if (fate === FATE.keep || (fate === FATE.setCookie && !setsOurCookie(value))) {
      kept.push(name, value);
    } else if (name.length === 10 && name.toLowerCase() === "connection") {
      const named = value.toLowerCase().split(",");
      options = [...(options ?? []), ...named.map((option) => option.trim())];
    }
  }
  return options === undefined || !options.some(isUnusual) ? kept : without(kept, options);
}

/** Trailers that may pass to the client, as a flat list. */
export function toClientTrailers(trailers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < trailers.length; at += 2)
    if (trailerFate(trailers[at] as string) === FATE.keep)
      kept.push(trailers[at] as string, trailers[at + 1] as string);
  return kept;
}

function isUnusual(option: string): boolean {
  return option !== "keep-alive" && option !== "close" && option !== "";
}

function without(fields: readonly string[], names: readonly string[]): string[] {
  return fields.filter((_, at) => !names.includes((fields[at - (at % 2)] as string).toLowerCase()));
}
