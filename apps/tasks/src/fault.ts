import { faultsOf, SERVICE_FAULTS, type FaultTable } from "@tidegate/service-kit";

/** Everything that can go wrong here, with what it means to the person who reads it. */
export const TASK_FAULTS = {
  ...SERVICE_FAULTS,
  task_not_found: {
    side: "client",
    status: 404,
    retry: "never",
    title: "No such task",
    meaning: "You have no task with this id. Tasks of other people look the same as none.",
  },
  task_quota_exceeded: {
    side: "client",
    status: 409,
    retry: "never",
    title: "You have as many tasks as you may have",
    meaning: "Delete tasks that are no longer needed, then create new ones.",
  },
  idempotency_key_reused: {
    side: "client",
    status: 422,
    retry: "never",
    title: "The Idempotency-Key was used for another request",
    meaning: "A key belongs to one body. Make a new key for a new request.",
  },
  neighbour_not_found: {
    side: "client",
    status: 422,
    retry: "never",
    title: "No such neighbour",
    meaning:
      "The task to move next to is none of yours, perhaps deleted meanwhile. Read the list again.",
  },
  too_many_feeds: {
    side: "client",
    status: 429,
    retry: "always",
    title: "Too many live feeds",
    meaning: "You have as many open feeds as one person may have. Close some, then connect again.",
  },
} as const satisfies FaultTable;

export const taskFault = faultsOf(TASK_FAULTS);
