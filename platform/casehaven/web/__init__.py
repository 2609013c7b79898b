"""Pages for people: server-rendered, in English and Arabic, and a client of the `/v1` routes like any other.

1. A page has no rules of its own. What it shows and does goes through the routes, in this process (`backend`), under the reader's own session; so access, limits, idempotency and refusals
   are decided once, there.
2. A page that changes something is a plain form to its own path; the answer is a redirect to a page that reads.
3. What reads works without a script. There is no inline script or style, and nothing from another origin.
"""
