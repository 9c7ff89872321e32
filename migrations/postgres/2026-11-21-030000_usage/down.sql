DROP TABLE budget_windows;
DROP TABLE budgets;
DROP TABLE usage_records;
