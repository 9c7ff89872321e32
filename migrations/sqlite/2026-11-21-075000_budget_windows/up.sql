-- What is set aside for calls under way is known to the process that makes them, and to nobody after its death.
ALTER TABLE budget_windows DROP COLUMN reserved_cost;
ALTER TABLE budget_windows DROP COLUMN reserved_tokens;
ALTER TABLE budget_windows DROP COLUMN open_calls;
