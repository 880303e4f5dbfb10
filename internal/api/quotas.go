package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) quotaRoutes() []route {
	const group = "Workspaces"
	return []route{
		op("GET /api/v1/quotas", to("read", "settings"), known(s, s.listQuotas), about{
			ID: "listQuotas", Group: group, Short: "Show what the workspace may have, and what it has", Kind: "quota",
		}),
		op("GET /api/v1/quotas/{id}", to("manage", "settings"), known(s, s.getQuotas), about{
			ID: "getQuotas", Group: group, Short: "Show what any workspace may have, and what it has", Long: "For admins of the default workspace.", Kind: "quota", Tenant: true,
		}, installation),
		op("PATCH /api/v1/quotas/{id}", to("manage", "settings"), known(s, s.setQuotas), about{
			ID: "setQuotas", Group: group, Short: "Set what a workspace may have", Long: "For admins of the default workspace. Quotas that are not named stay as they are.",
			Kind: "quota", Tenant: true, Codes: codes{app.CodeBadQuota: 400},
		}, installation),
	}
}

type quotasOut struct {
	Body struct {
		Quotas []mgx.QuotaUse `json:"quotas"`
	} `nameHint:"QuotaList"`
}

func quotasBody(all []mgx.QuotaUse, err error) (*quotasOut, error) {
	out := &quotasOut{}
	out.Body.Quotas = every(all)
	return out, err
}

func (s *Server) listQuotas(ctx context.Context, _ *none) (*quotasOut, error) {
	return quotasBody(s.o.Access.Quotas(ctx, actor(ctx)))
}

func (s *Server) getQuotas(ctx context.Context, in *At[mgx.WorkspaceID]) (*quotasOut, error) {
	return quotasBody(s.o.Access.QuotasOf(ctx, in.ID))
}

func (s *Server) setQuotas(ctx context.Context, in *struct {
	At[mgx.WorkspaceID]
	Body struct {
		Quotas map[string]*int64 `json:"quotas" doc:"By name; null: no limit but that of MGX itself"`
	} `nameHint:"QuotaChange"`
},
) (*quotasOut, error) {
	return quotasBody(s.o.Access.SetQuotas(ctx, actor(ctx), in.ID, in.Body.Quotas))
}
