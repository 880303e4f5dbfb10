package api

import (
	"context"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// Tokens and other secrets are in the answers that make them, and in no other.

func (s *Server) peopleRoutes() []route {
	const group = "Sign-in"
	return []route{
		op("GET /api/v1/auth/providers", anybody, known(s, s.listProviders), about{
			ID: "listProviders", Group: group, Short: "List where people may sign in besides here",
			Long: "Browsers go to /signin/with/{name}.",
		}),
		op("POST /api/v1/auth/sign-in", anybody, known(s, s.signIn), about{
			ID: "signIn", Group: group, Short: "Sign in with a password", Secret: true,
			Long:  "Who fails five times from one address waits, and is told how long.",
			Codes: codes{app.CodeBadCredentials: 401, "too_many_attempts": 429, access.CodeTooBusy: 503},
		}),
		op("POST /api/v1/auth/refresh", anybody, known(s, s.refresh), about{
			ID: "refresh", Group: group, Short: "Get new tokens for a refresh token", Secret: true,
			Long:  "A refresh token is good once. Using it again ends its session, since somebody else has it too.",
			Codes: codes{mgx.CodeTokenReused: 401, mgx.CodeTokenUnknown: 401, "too_many_attempts": 429},
		}),
		op("POST /api/v1/auth/accept", anybody, known(s, s.accept), about{
			ID: "acceptInvitation", Group: group, Short: "Accept an invitation, and sign in", Secret: true,
			Codes: codes{
				mgx.CodeInvitationSpent: 410, app.CodeBadCredentials: 401, "weak_password": 400, "bad_name": 400, "bad_email": 400,
				"conflict": 409, "too_many_attempts": 429, access.CodeTooBusy: 503,
			},
		}),
		op("POST /api/v1/auth/sign-out", somebody, known(s, s.signOut), about{
			ID: "signOut", Group: group, Short: "End the session that asks", Codes: codes{"session_required": 403},
		}),
		op("GET /api/v1/me", somebody, s.me, about{
			ID: "getMe", Group: group, Short: "Show who asks, and what they are in which workspace",
		}),
		op("GET /api/v1/me/invitations", somebody, known(s, s.listWaiting), about{
			ID: "listMyInvitations", Group: group, Short: "List the invitations that wait for who asks",
			Long:  "Those of every workspace to an address that a provider, or an admin of the default workspace by inviting it, has found to be theirs.",
			Codes: codes{"session_required": 403},
		}),
		op("POST /api/v1/me/invitations/{id}/accept", somebody, known(s, s.acceptWaiting), about{
			ID: "acceptMyInvitation", Group: group, Short: "Become a member, as an invitation says",
			Long:  "Who is a member of another workspace already names one in requests from then on.",
			Codes: codes{mgx.CodeInvitationSpent: 410, "conflict": 409, "session_required": 403},
		}),
		op("POST /api/v1/me/invitations/{id}/decline", somebody, known(s, s.declineWaiting), about{
			ID: "declineMyInvitation", Group: group, Short: "End an invitation to oneself",
			Codes: codes{mgx.CodeInvitationSpent: 410, "session_required": 403},
		}),
		op("PUT /api/v1/me/password", somebody, known(s, s.changePassword), about{
			ID: "changePassword", Group: group, Short: "Change one's own password", Long: "Every other session of the same person ends.",
			Codes: codes{app.CodeBadCredentials: 401, "weak_password": 400, "session_required": 403, "too_many_attempts": 429, access.CodeTooBusy: 503},
		}),
		op("GET /api/v1/sessions", somebody, known(s, s.listSessions), about{
			ID: "listSessions", Group: group, Short: "List one's own sessions", Codes: codes{"session_required": 403},
		}),
		op("DELETE /api/v1/sessions/{id}", somebody, known(s, s.endSession), about{
			ID: "endSession", Group: group, Short: "End one of one's own sessions", Codes: codes{"session_required": 403},
		}),
	}
}

// known refuses where there are no people but the owner.
func known[I, O any](s *Server, f func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		if !s.o.Access.People() {
			return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server knows nobody but its owner")
		}
		return f(ctx, in)
	}
}

type signedOut struct {
	Body app.Signed
}

type signInIn struct {
	Body struct {
		Email    string `json:"email" doc:"Address of the person" maxLength:"1000" example:"ada@example.com"`
		Password string `json:"password" maxLength:"10000"`
	} `nameHint:"SignIn"`
}

func (s *Server) signIn(ctx context.Context, in *signInIn) (*signedOut, error) {
	where, _ := s.where(requestOf(ctx))
	signed, err := s.o.Access.SignIn(ctx, in.Body.Email, in.Body.Password, where)
	return &signedOut{signed}, err
}

type refreshIn struct {
	Body struct {
		Token string `json:"refresh_token" doc:"Of the last sign-in or refresh" maxLength:"1000"`
	} `nameHint:"Refresh"`
}

func (s *Server) refresh(ctx context.Context, in *refreshIn) (*signedOut, error) {
	where, _ := s.where(requestOf(ctx))
	signed, err := s.o.Access.Refresh(ctx, in.Body.Token, where)
	return &signedOut{signed}, err
}

type accepting struct {
	Token    string `json:"token" doc:"Of the invitation" maxLength:"1000"`
	Email    string `json:"email,omitempty" doc:"Where the invitation names nobody" maxLength:"1000"`
	Name     string `json:"name,omitempty" doc:"What others call the person" maxLength:"1000" example:"Ada"`
	Password string `json:"password" doc:"A new one, or for who has an account, the one they have" maxLength:"10000"`
}

func (s *Server) accept(ctx context.Context, in *struct{ Body accepting }) (*signedOut, error) {
	where, _ := s.where(requestOf(ctx))
	signed, err := s.o.Access.Accept(ctx, app.Accepting(in.Body), where)
	return &signedOut{signed}, err
}

func (s *Server) signOut(ctx context.Context, _ *none) (*none, error) {
	return &none{}, s.o.Access.SignOut(ctx, actor(ctx))
}

type meOut struct {
	Body app.Me
}

func (s *Server) me(ctx context.Context, _ *none) (*meOut, error) {
	me, err := s.o.Access.Me(ctx, actor(ctx))
	me.Members = every(me.Members)
	return &meOut{me}, err
}

type waitingOut struct {
	Body struct {
		Invitations []mgx.WaitingInvitation `json:"invitations"`
	} `nameHint:"WaitingInvitations"`
}

func (s *Server) listWaiting(ctx context.Context, _ *none) (*waitingOut, error) {
	all, err := s.o.Access.Waiting(ctx, actor(ctx))
	out := &waitingOut{}
	out.Body.Invitations = every(all)
	return out, err
}

func (s *Server) acceptWaiting(ctx context.Context, in *At[mgx.InvitationID]) (*memberOut, error) {
	m, err := s.o.Access.AcceptWaiting(ctx, actor(ctx), in.ID)
	return &memberOut{m}, err
}

func (s *Server) declineWaiting(ctx context.Context, in *At[mgx.InvitationID]) (*none, error) {
	return &none{}, s.o.Access.Decline(ctx, actor(ctx), in.ID)
}

type passwordIn struct {
	Body struct {
		Old   string `json:"current_password" maxLength:"10000"`
		Fresh string `json:"new_password" doc:"At least 12 characters, and none that everybody tries" maxLength:"10000"`
	} `nameHint:"PasswordChange"`
}

func (s *Server) changePassword(ctx context.Context, in *passwordIn) (*none, error) {
	return &none{}, s.o.Access.ChangePassword(ctx, actor(ctx), in.Body.Old, in.Body.Fresh)
}

type sessionsOut struct {
	Body struct {
		Sessions []mgx.Session `json:"sessions"`
	} `nameHint:"SessionList"`
}

func (s *Server) listSessions(ctx context.Context, _ *none) (*sessionsOut, error) {
	all, err := s.o.Access.Sessions(ctx, actor(ctx))
	out := &sessionsOut{}
	out.Body.Sessions = every(all)
	return out, err
}

type providersOut struct {
	Body struct {
		Providers []app.ProviderInfo `json:"providers"`
	} `nameHint:"ProviderList"`
}

func (s *Server) listProviders(context.Context, *none) (*providersOut, error) {
	out := &providersOut{}
	out.Body.Providers = every(s.o.Access.Providers())
	return out, nil
}

func (s *Server) endSession(ctx context.Context, in *At[mgx.SessionID]) (*none, error) {
	return &none{}, s.o.Access.RevokeSession(ctx, actor(ctx), in.ID)
}
