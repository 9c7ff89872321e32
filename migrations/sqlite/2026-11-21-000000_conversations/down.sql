DROP TABLE api_keys;
DROP TABLE run_events;
DROP TABLE runs;
DROP TRIGGER messages_leave_search;
DROP TABLE message_search;
DROP TABLE messages;
DROP TABLE sessions;
