"""Sign-in: passwords with codes, passkeys, sessions, tokens, step-up, first run and recovery. Every secret is stored as a hash or sealed under a key outside the database."""
