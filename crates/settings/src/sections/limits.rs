//! `[limits]`: how much of the server one user may take.

use crate::catalogue::section;
use crate::error::SettingsError;
use crate::validate::check_range;

section! {
    /// How much of the server one user may take. Whatever is set here, users with turns waiting take turns.
    pub struct LimitsSettings {
        /// Most turns of one user that run at once; more of them wait. Not set: `agent.max_concurrent_runs`.
        runs_per_user: Option<usize> = None, example "8";
        /// Most turns of one user that run or wait; more are refused. Not set: three quarters of all the server
        /// accepts, which is 16 for each that may run at once.
        accepted_runs_per_user: Option<usize> = None, example "64";
    }
}

impl LimitsSettings {
    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let limits = [
            ("limits.runs_per_user", self.runs_per_user),
            ("limits.accepted_runs_per_user", self.accepted_runs_per_user),
        ];
        for (key, most) in limits {
            if let Some(most) = most {
                check_range(key, most, 1..=10_000_000, "")?;
            }
        }
        Ok(())
    }
}
