//! What tokens may do, by the names and ids of Cloudflare's permission groups.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failure::Failure;
use crate::request::Query;
use crate::sql::whole;

/// A permission that a token can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To read where notifications go.
    NotificationsRead,
    /// To say where notifications go.
    NotificationsWrite,
    /// To read live inputs and outputs, their keys included.
    StreamRead,
    /// To change live inputs and outputs.
    StreamWrite,
    /// To read which tokens there are, never their values.
    TokensRead,
    /// To make, change and delete tokens: whoever may do this may give out everything.
    TokensWrite,
}

impl Permission {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::NotificationsRead,
        Self::NotificationsWrite,
        Self::StreamRead,
        Self::StreamWrite,
        Self::TokensRead,
        Self::TokensWrite,
    ];

    /// The id of Cloudflare's permission group, which its users have in their scripts.
    pub fn id(self) -> &'static str {
        match self {
            Self::NotificationsRead => "ce18edbdcebf465e9d6d1d2fc80ffd42",
            Self::NotificationsWrite => "c3c847c5802d4ce3ba00e3e97b3c8555",
            Self::StreamRead => "de21485a24744b76a004aa153898f7fe",
            Self::StreamWrite => "714f9c13a5684c2885a793f5edb36f59",
            Self::TokensRead => "eb56a6953c034b9d97dd838155666f06",
            Self::TokensWrite => "5bc3f8b21c554832afc660159ab75fa4",
        }
    }

    /// Its name, as Cloudflare's pages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotificationsRead => "Notifications Read",
            Self::NotificationsWrite => "Notifications Write",
            Self::StreamRead => "Stream Read",
            Self::StreamWrite => "Stream Write",
            Self::TokensRead => "Account API Tokens Read",
            Self::TokensWrite => "Account API Tokens Write",
        }
    }

    /// The one with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.id() == id)
    }

    /// Those that `name` and `scope` of a query name, where they are there.
    ///
    /// # Errors
    ///
    /// 400/10005 where one of the two is given twice.
    pub fn named(query: &Query) -> Result<impl Iterator<Item = Self> + use<>, Failure> {
        // Cloudflare's page tells people to encode the name, and its clients encode it once more.
        let name = query.get("name")?.map(|name| name.replace("%20", " "));
        let is_in_scope = query.get("scope")?.is_none_or(|scope| scope == SCOPE);
        let all = Self::ALL.into_iter().filter(move |_| is_in_scope);
        Ok(all.filter(move |one| name.as_ref().is_none_or(|name| name == one.name())))
    }

    /// As the list of permission groups shows it.
    pub fn shown(self) -> PermissionGroup {
        PermissionGroup {
            id: self.id(),
            name: self.name(),
            scopes: [SCOPE],
            category: match self {
                Self::StreamRead | Self::StreamWrite => "media",
                _ => "account_and_billing",
            },
            is_selectable: true,
        }
    }

    /// The permissions of which any one will do: who may write may read.
    pub fn granted_by(self) -> Permissions {
        let wider = match self {
            Self::NotificationsRead => Self::NotificationsWrite,
            Self::StreamRead => Self::StreamWrite,
            Self::TokensRead => Self::TokensWrite,
            Self::NotificationsWrite | Self::StreamWrite | Self::TokensWrite => self,
        };
        [self, wider].into_iter().collect()
    }

    /// Its bit in the database: these never change.
    fn bit(self) -> u32 {
        match self {
            Self::StreamRead => 1,
            Self::StreamWrite => 2,
            Self::TokensRead => 4,
            Self::TokensWrite => 8,
            Self::NotificationsRead => 16,
            Self::NotificationsWrite => 32,
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A permission as the list of permission groups shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionGroup {
    id: &'static str,
    name: &'static str,
    scopes: [&'static str; 1],
    category: &'static str,
    is_selectable: bool,
}

/// What all permissions are for: one account.
const SCOPE: &str = "com.cloudflare.api.account";

/// A set of permissions; in the database a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// Every permission there is.
    pub fn all() -> Self {
        Permission::ALL.into_iter().collect()
    }

    /// Whether a token with these may do what needs `permission`.
    pub fn allow(self, permission: Permission) -> bool {
        self.0 & permission.granted_by().0 != 0
    }

    /// Those of the set.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        let all = Permission::ALL.into_iter();
        all.filter(move |one| self.0 & one.bit() != 0)
    }

    /// Those of the set that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The set as the database holds it.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// By its id.
impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::from_id(&id).ok_or_else(|| D::Error::custom("no such permission group"))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(
            permissions
                .into_iter()
                .fold(0, |bits, one| bits | one.bit()),
        )
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = u32::try_from(whole(deserializer)?);
        bits.map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_write_may_read_and_no_more() {
        use Permission::*;
        for (has, allowed) in [
            (StreamRead, vec![StreamRead]),
            (StreamWrite, vec![StreamRead, StreamWrite]),
            (TokensRead, vec![TokensRead]),
            (TokensWrite, vec![TokensRead, TokensWrite]),
            (NotificationsRead, vec![NotificationsRead]),
            (
                NotificationsWrite,
                vec![NotificationsRead, NotificationsWrite],
            ),
        ] {
            let set: Permissions = [has].into_iter().collect();
            for one in Permission::ALL {
                assert_eq!(set.allow(one), allowed.contains(&one), "{has}: {one}");
            }
        }
        for one in Permission::ALL {
            assert!(Permissions::all().allow(one));
            assert!(!Permissions::default().allow(one));
        }
    }

    #[test]
    fn none_is_mistaken_for_another() {
        let distinct = |mut texts: Vec<String>| {
            texts.sort();
            texts.dedup();
            texts.len()
        };
        let count = Permission::ALL.len();
        for of in [
            |one: Permission| one.id().to_owned(),
            |one: Permission| one.name().to_owned(),
            |one: Permission| one.bit().to_string(),
        ] {
            assert_eq!(distinct(Permission::ALL.map(of).to_vec()), count);
        }
        // What the migration gave to the tokens that were there, and `cargo xtask account` gives.
        assert_eq!(Permissions::all().bits(), 63);
    }
}
