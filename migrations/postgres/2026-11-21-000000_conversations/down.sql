DROP TABLE api_keys;
DROP TABLE run_events;
DROP TABLE runs;
DROP TABLE message_search;
DROP TABLE messages;
DROP TABLE sessions;
DROP TEXT SEARCH CONFIGURATION majordomo;
DROP TEXT SEARCH DICTIONARY majordomo_stem;
