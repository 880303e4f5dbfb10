package web

// signInText is what the pages say on which people sign in.
func signInText() map[string]string {
	return map[string]string{
		"signin.title": "Sign in", "signin.email": "Address", "signin.password": "Password", "signin.do": "Sign in", "signin.with": "Sign in with %s", "signin.or": "or",
		"signin.invited": "Were you invited? Set a password", "signin.forgot": "Who forgot the password asks an admin for another invitation.",
		"signin.wrong": "That did not work",

		"invitation.title": "Welcome", "invitation.lead": "Set a password to begin. Who has an account here already gives its password.",
		"invitation.there": "Was your address invited? Then sign in with it, and accept the invitation there.",
		"invitation.token": "Invitation", "invitation.token.hint": "The text that begins with mgxi_, if it is not there yet",
		"invitation.email": "Address", "invitation.name": "Name", "invitation.password": "Password", "invitation.password.hint": "%d characters or more, such as four words of your choice",
		"invitation.do": "Begin", "invitation.signin": "Sign in instead",

		"waiting.title": "Invitations", "waiting.lead": "You are invited. You become a member of a workspace when you accept, and not before.",
		"waiting.several": "Who is a member of several workspaces says in each request to the API which one is meant.",
		"waiting.role":    "As", "waiting.by": "Invited by", "waiting.address": "Your address", "waiting.until": "Until", "waiting.accept": "Accept", "waiting.decline": "Decline",
		"waiting.later": "Not now", "waiting.none": "You are signed in as %s, and a member of no workspace, and no invitation waits for you. Ask an admin for one.",

		"signout.do": "Sign out", "signedout.title": "Signed out", "signedout.lead": "You are signed out of this server, in this browser.",
		"signedout.there": "You may still be signed in at %s, so that whoever uses this browser next gets in without a password.", "signedout.there.do": "Sign out of %s, too",
		"signedout.again": "Sign in again",
	}
}
