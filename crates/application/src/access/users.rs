//! Users: the first one becomes the owner; they sign in with passwords; administrators look after the others.

use std::fmt;
use std::sync::Arc;

use majordomo_domain::{
    AuditRecord, CredentialKind, RequestSource, User, UserId, UserRole, Username,
};
use tokio::sync::OnceCell;

use super::error::AccessError;
use super::service::{
    AccessService, IssuedToken, require_full_access, require_in_person, require_person,
};
use super::throttle::LoginThrottle;
use super::user_error::UserError;
use crate::caller::Caller;
use crate::error::FieldError;
use crate::ports::{PasswordHasher, RepositoryError, UserRepository};

/// What looking after users needs.
pub struct UserPorts {
    /// Storage of users.
    pub users: Arc<dyn UserRepository>,
    /// Hashes and compares passwords.
    pub hasher: Arc<dyn PasswordHasher>,
}

/// A name and a password. Has no `Debug`, so that no log shows it.
pub struct SignIn {
    /// The user's name, whatever its case.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A user who has just signed in.
pub struct SignedIn {
    /// Their record.
    pub user: User,
    /// Their login token.
    pub token: IssuedToken,
}

/// A user to add. Has no `Debug`, so that no log shows the password.
pub struct AddUser {
    /// 3..=64 characters of `A-Z a-z 0-9 . _ - @ +`.
    pub username: String,
    /// What they may do at most. The owner can be added once, by whoever holds the master token.
    pub role: UserRole,
    /// 6..=1024 characters; none for a program.
    pub password: Option<String>,
}

/// Shortest and longest password, in characters. Pixcode's clients promise that 6 are enough.
const PASSWORD_LEN: std::ops::RangeInclusive<usize> = 6..=1024;
/// Users listed, and added, at most.
const MAX_USERS: u32 = 10_000;

/// Registers, signs in and looks after users.
pub struct UserService {
    access: Arc<AccessService>,
    users: Arc<dyn UserRepository>,
    hasher: Arc<dyn PasswordHasher>,
    throttle: LoginThrottle,
    /// The hash of a password that nobody has: compared where there is no user, so that both take as long.
    nobody: OnceCell<Option<String>>,
}

impl UserService {
    /// A service over the users that `access` lets in.
    pub fn new(access: Arc<AccessService>, ports: UserPorts) -> Self {
        Self {
            access,
            users: ports.users,
            hasher: ports.hasher,
            throttle: LoginThrottle::default(),
            nobody: OnceCell::new(),
        }
    }

    /// Whether nobody is the owner yet. Anyone may ask.
    pub async fn needs_setup(&self) -> Result<bool, UserError> {
        Ok(self.users.find(&UserId::operator()).await?.is_none())
    }

    /// Makes the owner, once. `caller` is who asks, where that is known: the operator, by the rules of the localhost
    /// bypass or the master token; nobody else may.
    pub async fn register(
        &self,
        caller: Option<&Caller>,
        request: SignIn,
    ) -> Result<SignedIn, UserError> {
        let name = parse_username(&request.username)?;
        check_password(&request.password)?;
        if !self.needs_setup().await? {
            return Err(UserError::AlreadyRegistered);
        }
        let caller = caller
            .filter(|caller| require_full_access(caller).is_ok())
            .ok_or(UserError::RegistrationRefused)?;
        let hash = self.hash(request.password).await?;
        let user = self.record(UserId::operator(), name, UserRole::Owner);
        let record = caller
            .record("user.register", user.created_at)
            .on("user", &user.id)
            .with("username", &user.username);
        match self.users.insert(&user, Some(&hash), &record).await {
            Ok(()) => {}
            Err(RepositoryError::Conflict) if self.needs_setup().await? => {
                return Err(UserError::NameTaken);
            }
            Err(RepositoryError::Conflict) => return Err(UserError::AlreadyRegistered),
            Err(error) => return Err(error.into()),
        }
        self.access.directory.forget();
        let token = self.access.issue_login_token(&user)?;
        Ok(SignedIn { user, token })
    }

    /// Signs a user in. A name that nobody has takes as long and is told in the same words as a wrong password.
    pub async fn sign_in(
        &self,
        request: SignIn,
        source: RequestSource,
    ) -> Result<SignedIn, UserError> {
        let name = Username::parse(&request.username).ok();
        let account = name
            .as_ref()
            .map_or_else(|| "\u{0}".to_owned(), Username::folded);
        let now = self.access.clock.now();
        let attempt = self
            .throttle
            .begin(account, source.address, now)
            .map_err(UserError::Throttled)?;
        let found = match &name {
            Some(name) => self.users.find_by_name(name).await?,
            None => None,
        };
        let (user, hash) = match found {
            Some((user, Some(hash))) if user.enabled => (Some(user), Some(hash)),
            _ => (None, self.nobody().await.clone()),
        };
        let right = match hash {
            Some(hash) => self.matches(hash, request.password).await,
            None => false,
        };
        let Some(mut user) = user.filter(|_| right) else {
            return Err(UserError::WrongPassword);
        };
        self.throttle.succeeded(&attempt);
        let login = CredentialKind::Login;
        let record = AuditRecord::of_user("login.success", &user.id, &login, source, now);
        self.users.note_login(&user.id, now, &record).await?;
        user.last_login_at = Some(now);
        let token = self.access.issue_login_token(&user)?;
        Ok(SignedIn { user, token })
    }

    async fn matches(&self, hash: String, password: String) -> bool {
        password.chars().count() <= *PASSWORD_LEN.end() && self.hasher.verify(hash, password).await
    }

    async fn nobody(&self) -> &Option<String> {
        let make = || async {
            let secret = crate::hex::hex(&self.access.ids.secret());
            self.hasher.hash(secret).await
        };
        self.nobody.get_or_init(make).await
    }

    /// The caller's own record. The operator has one before anyone is registered.
    pub async fn me(&self, caller: &Caller) -> Result<User, UserError> {
        if let Some(user) = self.users.find(&caller.user).await? {
            return Ok(user);
        }
        if caller.user != UserId::operator() {
            return Err(UserError::NotFound);
        }
        let name = parse_username("operator")?;
        Ok(self.record(UserId::operator(), name, UserRole::Owner))
    }

    /// All users, oldest first.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<User>, UserError> {
        caller.require(majordomo_domain::Scope::Admin)?;
        Ok(self.users.list(MAX_USERS).await?)
    }

    /// Adds a user.
    pub async fn add(&self, caller: &Caller, request: AddUser) -> Result<User, UserError> {
        require_rank(caller, request.role)?;
        let name = parse_username(&request.username)?;
        let password = match (request.role.has_password(), request.password) {
            (true, Some(password)) => Some(password),
            (false, None) => None,
            (true, None) => return Err(invalid("password", "is missing")),
            (false, Some(_)) => {
                return Err(invalid(
                    "password",
                    "must be missing: programs use API keys",
                ));
            }
        };
        if let Some(password) = &password {
            check_password(password)?;
        }
        if self.users.list(MAX_USERS).await?.len() >= MAX_USERS as usize {
            return Err(UserError::TooMany);
        }
        let hash = match password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        let id = if request.role == UserRole::Owner {
            if !self.needs_setup().await? {
                return Err(UserError::AlreadyRegistered);
            }
            UserId::operator()
        } else {
            self.access.ids.user_id()
        };
        let user = self.record(id, name, request.role);
        let record = caller
            .record("user.add", user.created_at)
            .on("user", &user.id)
            .with("username", &user.username)
            .with("role", user.role);
        match self.users.insert(&user, hash.as_deref(), &record).await {
            Err(RepositoryError::Conflict) => return Err(UserError::NameTaken),
            stored => stored?,
        }
        self.access.directory.forget();
        Ok(user)
    }

    /// Gives a user another role. Their tokens end.
    pub async fn set_role(
        &self,
        caller: &Caller,
        id: &UserId,
        role: UserRole,
    ) -> Result<(), UserError> {
        let user = self.other(caller, id).await?;
        require_rank(caller, role)?;
        if user.role == UserRole::Owner || role == UserRole::Owner {
            return Err(UserError::Owner);
        }
        let record = self
            .act(caller, "user.role", &user)
            .with("from", user.role)
            .with("role", role);
        let changed = self.users.set_role(id, role, &record).await?;
        self.changed(changed)
    }

    /// Lets a user's credentials work again, or no longer: tokens, keys, apps.
    pub async fn set_enabled(
        &self,
        caller: &Caller,
        id: &UserId,
        enabled: bool,
    ) -> Result<(), UserError> {
        let user = self.other(caller, id).await?;
        if user.role == UserRole::Owner {
            return Err(UserError::Owner);
        }
        let action = if enabled {
            "user.enable"
        } else {
            "user.disable"
        };
        let record = self.act(caller, action, &user);
        let changed = self.users.set_enabled(id, enabled, &record).await?;
        self.changed(changed)
    }

    /// Gives a user another password. Their tokens end.
    pub async fn set_password(
        &self,
        caller: &Caller,
        id: &UserId,
        password: String,
    ) -> Result<(), UserError> {
        let user = self.other(caller, id).await?;
        if !user.role.has_password() {
            return Err(invalid(
                "password",
                "must be missing: programs use API keys",
            ));
        }
        check_password(&password)?;
        let hash = self.hash(password).await?;
        let record = self.act(caller, "user.password", &user);
        let changed = self.users.set_password(id, None, &hash, &record).await?;
        self.changed(changed)
    }

    /// Gives the caller another password, in person, whatever their role. Guessing the current one is slowed down as
    /// signing in is. All their tokens end; a caller who has signed in gets another one.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: String,
        password: String,
    ) -> Result<Option<IssuedToken>, UserError> {
        require_in_person(caller)?;
        check_password(&password)?;
        let user = self.users.find(&caller.user).await?;
        let user = user.ok_or(UserError::NotFound)?;
        let now = self.access.clock.now();
        let attempt = self
            .throttle
            .begin(user.username.folded(), caller.source.address, now)
            .map_err(UserError::Throttled)?;
        let found = self.users.find_by_name(&user.username).await?;
        let right = match found.and_then(|(_, hash)| hash) {
            Some(hash) => self.matches(hash, current).await,
            None => false,
        };
        if !right {
            return Err(UserError::WrongCurrentPassword);
        }
        self.throttle.succeeded(&attempt);
        let hash = self.hash(password).await?;
        let record = self.act(caller, "user.password", &user);
        let version = Some(user.token_version);
        let changed = self.users.set_password(&user.id, version, &hash, &record);
        let changed = changed.await?;
        self.access.directory.forget();
        if !changed {
            // Somebody else has changed it since it was compared.
            return Err(UserError::WrongCurrentPassword);
        }
        if caller.credential != CredentialKind::Login {
            return Ok(None);
        }
        let user = User {
            token_version: user.token_version.saturating_add(1),
            ..user
        };
        Ok(Some(self.access.issue_login_token(&user)?))
    }

    /// A user whom the caller may change.
    async fn other(&self, caller: &Caller, id: &UserId) -> Result<User, UserError> {
        require_person(caller)?;
        let user = self.users.find(id).await?.ok_or(UserError::NotFound)?;
        require_rank(caller, user.role)?;
        Ok(user)
    }

    fn act(&self, caller: &Caller, action: &'static str, user: &User) -> AuditRecord {
        caller
            .record(action, self.access.clock.now())
            .on("user", &user.id)
            .with("username", &user.username)
    }

    fn changed(&self, changed: bool) -> Result<(), UserError> {
        self.access.directory.forget();
        if changed {
            Ok(())
        } else {
            Err(UserError::NotFound)
        }
    }

    fn record(&self, id: UserId, username: Username, role: UserRole) -> User {
        User {
            id,
            username,
            role,
            enabled: true,
            token_version: 0,
            created_at: self.access.clock.now(),
            last_login_at: None,
        }
    }

    async fn hash(&self, password: String) -> Result<String, UserError> {
        let hash = self.hasher.hash(password).await;
        hash.ok_or(UserError::Access(AccessError::Hashing))
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Administrators look after users below them; the owner looks after everyone.
fn require_rank(caller: &Caller, role: UserRole) -> Result<(), UserError> {
    match role {
        UserRole::Owner | UserRole::Admin => require_full_access(caller)?,
        UserRole::Member | UserRole::Viewer | UserRole::Service => require_person(caller)?,
    }
    Ok(())
}

fn invalid(field: &str, error: impl Into<String>) -> UserError {
    UserError::Invalid(FieldError::new(field, error))
}

fn parse_username(text: &str) -> Result<Username, UserError> {
    Username::parse(text).map_err(|error| invalid("username", error.to_string()))
}

fn check_password(password: &str) -> Result<(), UserError> {
    if PASSWORD_LEN.contains(&password.chars().count()) {
        Ok(())
    } else {
        Err(invalid("password", "must have 6 to 1024 characters"))
    }
}
