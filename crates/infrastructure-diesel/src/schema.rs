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
        imported_at -> Nullable<BigInt>,
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
        enabled -> Bool,
        addresses -> Text,
        models -> Text,
        requests_per_minute -> Nullable<BigInt>,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        username -> Text,
        username_folded -> Text,
        role -> Text,
        enabled -> Bool,
        token_version -> BigInt,
        password_hash -> Nullable<Text>,
        created_at -> BigInt,
        last_login_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    audit_entries (seq) {
        seq -> BigInt,
        created_at -> BigInt,
        actor -> Nullable<Text>,
        credential -> Text,
        key_id -> Nullable<Text>,
        action -> Text,
        target -> Text,
        outcome -> Text,
        address -> Nullable<Text>,
        request_id -> Nullable<Text>,
        occurrences -> BigInt,
        details -> Text,
        hash -> Binary,
    }
}

diesel::table! {
    audit_chain (id) {
        id -> BigInt,
        base_seq -> BigInt,
        base_hash -> Binary,
        last_seq -> BigInt,
        last_hash -> Binary,
    }
}

diesel::table! {
    self_audit_reports (date) {
        date -> Text,
        created_at -> BigInt,
        checks -> Text,
    }
}

diesel::table! {
    settings (owner, name) {
        owner -> Text,
        name -> Text,
        value -> Text,
        sealed -> Bool,
        updated_at -> BigInt,
    }
}

diesel::table! {
    oauth_clients (id) {
        id -> Text,
        name -> Text,
        redirect_uris -> Text,
        scopes -> Text,
        registered_at -> BigInt,
    }
}

diesel::table! {
    oauth_grants (id) {
        id -> Text,
        owner -> Text,
        client_id -> Text,
        client_name -> Text,
        scopes -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    oauth_codes (digest) {
        digest -> Binary,
        grant_id -> Text,
        redirect_uri -> Text,
        challenge -> Text,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    oauth_tokens (digest) {
        digest -> Binary,
        grant_id -> Text,
        kind -> Text,
        scopes -> Text,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::joinable!(oauth_codes -> oauth_grants (grant_id));
diesel::joinable!(oauth_tokens -> oauth_grants (grant_id));
diesel::allow_tables_to_appear_in_same_query!(
    oauth_clients,
    oauth_grants,
    oauth_codes,
    oauth_tokens
);
diesel::allow_tables_to_appear_in_same_query!(sessions, messages, runs, run_events);

diesel::table! {
    usage_records (row_id) {
        row_id -> BigInt,
        owner -> Text,
        key_id -> Nullable<Text>,
        session_id -> Nullable<Text>,
        run_id -> Nullable<Text>,
        provider -> Text,
        model -> Text,
        input_tokens -> BigInt,
        output_tokens -> BigInt,
        cached_input_tokens -> BigInt,
        estimated -> Bool,
        cost -> BigInt,
        price_version -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    budgets (subject, period) {
        subject -> Text,
        period -> Text,
        max_cost -> Nullable<BigInt>,
        max_tokens -> Nullable<BigInt>,
        set_at -> BigInt,
    }
}

diesel::table! {
    budget_windows (subject, period, starts_at) {
        subject -> Text,
        period -> Text,
        starts_at -> BigInt,
        spent_cost -> BigInt,
        spent_tokens -> BigInt,
    }
}

diesel::table! {
    memory_owners (owner) {
        owner -> Text,
        last_revision -> BigInt,
        memories -> BigInt,
    }
}

diesel::table! {
    memories (id) {
        id -> Text,
        owner -> Text,
        kind -> Text,
        content -> Text,
        summary -> Text,
        importance -> Double,
        tags -> Text,
        sources -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
        accessed_at -> BigInt,
        access_count -> BigInt,
        decayed_at -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    memory_vectors (owner, revision) {
        owner -> Text,
        revision -> BigInt,
        memory_id -> Nullable<Text>,
        message_id -> Nullable<Text>,
        model -> Text,
        dimension -> BigInt,
        vector -> Binary,
    }
}

diesel::allow_tables_to_appear_in_same_query!(memories, memory_vectors);
diesel::allow_tables_to_appear_in_same_query!(messages, memory_vectors);
