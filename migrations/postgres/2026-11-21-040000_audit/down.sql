DROP TABLE self_audit_reports;
DROP TABLE audit_chain;
DROP TABLE audit_entries;
