"""The HTTP edge that JSON and pages share: requests in, answers and problems out, each strictly."""
