package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

// models are the use cases of models, where there are any.
func (s *Server) models(context.Context) (*app.Models, error) {
	if s.o.Models == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server tells of no models")
	}
	return s.o.Models, nil
}

// noModels are the codes of a server that cannot say which models there are.
var noModels = codes{"no_provider": 424, "bad_models_file": 424, "bad_prices": 424, "no_key": 424, "no_key_ring": 503}

// failedCall are those of a call to a model that came to nothing: faults of its
// provider, and money that is not there.
var failedCall = codes{
	"provider_timeout": 502, "provider_rate_limit": 502, "provider_quota": 502, "provider_auth": 502, "provider_unreachable": 502, "provider_overloaded": 502, "provider_bad_response": 502,
	"provider_rejected": 502, "content_filter": 502, "context_length": 502, "model_not_found": 404, mgx.CodePriceUnknown: 402, mgx.CodeBudgetExceeded: 402,
	"bad_model": 400, "model_unclear": 400, "no_such_policy": 424, "no_such_provider": 424, "no_model": 424, "no_model_fits": 424,
}

func (s *Server) modelRoutes() []route {
	const group = "Catalogue"
	return []route{
		op("GET /api/v1/models", to("read", "models"), with(s.models, listModels), about{
			ID: "listWorkspaceModels", Group: group, Short: "List the models that tasks of the workspace can be done with", Codes: noModels,
			Long: "Every provider is asked what it serves. How models did is what the workspace's events of the last day tell.",
		}),
		op("POST /api/v1/models/test", to("execute", "models"), with(s.models, tryModel), about{
			ID: "testModel", Group: group, Short: "Make one small real call to a model, and say what works", Status: 200, Codes: noModels.and(failedCall),
			Long: "A question with a tool to answer it with. The workspace pays for it as for any call, and budgets hold. No retry is made.",
		}),
	}
}

type modelsOut struct {
	Body app.ModelList
}

func listModels(ctx context.Context, m *app.Models, _ *none) (*modelsOut, error) {
	list, err := m.List(ctx, actor(ctx))
	return &modelsOut{list}, err
}

type modelTrialIn struct {
	Body struct {
		Model string `json:"model" doc:"provider/model, or a routing policy" minLength:"1" maxLength:"200" example:"auto"`
	} `nameHint:"ModelQuestion"`
}

type modelTrialOut struct {
	Body app.ModelTrial
}

func tryModel(ctx context.Context, m *app.Models, in *modelTrialIn) (*modelTrialOut, error) {
	t, err := m.Try(ctx, actor(ctx), in.Body.Model)
	return &modelTrialOut{t}, err
}
