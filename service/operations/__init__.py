"""The verbs, one per file: request() inside the call (one transaction), run() inside the job."""
