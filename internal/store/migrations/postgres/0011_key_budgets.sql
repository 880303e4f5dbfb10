-- Budgets of keys of the gateway have a scope of their own; they had that of runs.
UPDATE budgets SET scope = 'key' WHERE scope = 'run' AND substr(scope_id, 1, 4) = 'key_';
