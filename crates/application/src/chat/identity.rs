//! Who the agent is besides its instructions, and what it knows of each user.

use std::collections::HashMap;

use majordomo_domain::UserId;

/// What stands in the system prompt after the agent's instructions. Empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentIdentity {
    /// Its character and values.
    pub soul: String,
    /// How it writes.
    pub style: String,
    /// Rules of work.
    pub instructions: String,
    /// What users tell of themselves; each is shown in their own conversations only.
    pub users: HashMap<UserId, String>,
}

impl AgentIdentity {
    /// The system prompt for a user: `base` and every part that is not blank, each under a heading.
    pub(super) fn prompt(&self, base: &str, user: &UserId) -> String {
        let about_user = self.users.get(user).map_or("", String::as_str);
        let parts = [
            ("Soul", self.soul.as_str()),
            ("Style", self.style.as_str()),
            ("Instructions", self.instructions.as_str()),
            ("About the user", about_user),
        ];
        let mut prompt = base.to_owned();
        for (heading, text) in parts {
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if !prompt.is_empty() {
                prompt.push_str("\n\n");
            }
            prompt.push_str("# ");
            prompt.push_str(heading);
            prompt.push_str("\n\n");
            prompt.push_str(text);
        }
        prompt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_is_told_of_in_their_own_prompt_only() {
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let nobody = AgentIdentity::default();
        assert_eq!(nobody.prompt("Be brief.", &ann), "Be brief.");
        let identity = AgentIdentity {
            style: "terse\n".to_owned(),
            soul: "  ".to_owned(),
            users: HashMap::from([(ann.clone(), "Name: Ann".to_owned())]),
            ..AgentIdentity::default()
        };
        let of_ann = "Be brief.\n\n# Style\n\nterse\n\n# About the user\n\nName: Ann";
        assert_eq!(identity.prompt("Be brief.", &ann), of_ann);
        assert_eq!(identity.prompt("", &bob), "# Style\n\nterse");
    }
}
