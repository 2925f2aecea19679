import type { FastifyContextConfig, FastifySchema } from "fastify";
import type { ServiceApp } from "./service.ts";

/** One method of one path, as the app serves it. */
export interface ServiceRoute {
  readonly method: string;
  /** With parameters as `:name`. */
  readonly url: string;
  readonly schema: FastifySchema;
  readonly config: FastifyContextConfig;
}

/** Notes each route that is added from now on, the HEAD that comes with each GET included. */
export function collectRoutes(app: ServiceApp): readonly ServiceRoute[] {
  const routes: ServiceRoute[] = [];
  app.addHook("onRoute", (route) => {
    for (const method of [route.method].flat()) {
      routes.push({
        method,
        url: route.url,
        schema: route.schema ?? {},
        config: route.config ?? {},
      });
    }
  });
  return routes;
}

/** The methods that a path knows; none when it is no resource at all. */
export function methodsOf(routes: readonly ServiceRoute[], path: string): string[] {
  const segments = path.split("/");
  const fits = (url: string): boolean => {
    const pattern = url.split("/");
    return (
      pattern.length === segments.length &&
      pattern.every(
        (part, index) =>
          part === segments[index] || (part.startsWith(":") && segments[index] !== ""),
      )
    );
  };
  const literal = routes.filter((route) => route.url === path);
  // A literal path hides a pattern: /things/live is not a thing, so a thing's methods are not its own.
  const found = literal.length > 0 ? literal : routes.filter((route) => fits(route.url));
  return [...new Set(found.map((route) => route.method))].sort();
}
