"""The verbs, one per file: request() in the call (one transaction), run() in the job."""
