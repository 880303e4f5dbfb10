package api

import (
	"github.com/danielgtaylor/huma/v2"
)

// Version is the version of the API. It changes when something is added, and only
// a new path prefix may take something away.
const Version = "1.0"

// document is the frame of the OpenAPI document.
func document(schemas huma.Registry) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "MGX", Version: Version,
			Description: "What MGX does, over HTTP. Everything that the command line does is here too.",
		},
		Components: &huma.Components{
			Schemas: schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", Description: "A key (mgx keys), an access token (sign-in), or from the same machine the token of the data directory."},
			},
		},
	}
}
