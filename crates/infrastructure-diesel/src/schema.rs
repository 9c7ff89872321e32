//! The tables both databases share. Columns that only one of them has (row numbers, search vectors) are left out.

diesel::table! {
    sessions (owner, id) {
        owner -> Text,
        id -> Text,
        title -> Text,
        title_chosen -> Bool,
        channel -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        message_count -> BigInt,
        last_seq -> BigInt,
        model -> Nullable<Text>,
    }
}

diesel::table! {
    messages (id) {
        id -> Text,
        owner -> Text,
        session_id -> Text,
        seq -> BigInt,
        role -> Text,
        text -> Text,
        images -> Nullable<Text>,
        status -> Text,
        created_at -> BigInt,
        run_id -> Nullable<Text>,
        model -> Nullable<Text>,
        input_tokens -> Nullable<BigInt>,
        output_tokens -> Nullable<BigInt>,
        cached_input_tokens -> Nullable<BigInt>,
    }
}

diesel::table! {
    runs (id) {
        id -> Text,
        owner -> Text,
        kind -> Text,
        session_id -> Text,
        message_id -> Text,
        options -> Nullable<Text>,
        status -> Text,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        last_seq -> BigInt,
    }
}

diesel::table! {
    run_events (run_id, first_seq) {
        run_id -> Text,
        first_seq -> BigInt,
        last_seq -> BigInt,
        payload -> Text,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        owner -> Text,
        digest -> Binary,
        name -> Text,
        prefix -> Text,
        scopes -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(sessions, messages, runs, run_events);
