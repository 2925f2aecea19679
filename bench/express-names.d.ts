// The types of fast-gateway and express-rate-limit name Express, whose own types are not installed: nothing here uses it.

declare module "express" {
  export type NextFunction = () => void;
  export type Request = unknown;
  export type RequestHandler = unknown;
  export type Response = unknown;
}

declare namespace Express {
  interface Application {
    readonly locals: unknown;
  }
}
