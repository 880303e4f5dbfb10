package api

import (
	"net/http"
)

func (s *Server) documentRoutes() []route {
	const group = "Reference"
	return []route{
		plain[none, textOut]("GET /api/v1/openapi.json", s.getDocument, anybody, about{
			ID: "getDocument", Group: group, Short: "Get the OpenAPI document of this API", Type: typeOpenAPI,
		}),
		plain[none, textOut]("GET /api/v1/openapi.yaml", s.getDocumentYAML, anybody, about{
			ID: "getDocumentYAML", Group: group, Short: "Get the OpenAPI document as YAML", Type: typeOpenAPIYAML,
		}),
		plain[none, textOut]("GET /api/v1/docs", s.getReference, anybody, about{
			ID: "getReference", Group: group, Short: "Read the reference of this API", Type: "text/html",
		}),
		plain[none, textOut]("GET /api/v1/docs.css", s.getReferenceStyle, anybody, about{
			ID: "getReferenceStyle", Group: group, Short: "Get the style of the reference", Type: "text/css",
		}),
	}
}

// https://www.iana.org/assignments/media-types/application/openapi+json
const (
	typeOpenAPI     = "application/openapi+json"
	typeOpenAPIYAML = "application/openapi+yaml"
)

func (s *Server) getDocument(w http.ResponseWriter, _ *http.Request) error {
	text, err := s.Document()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeOpenAPI)
	_, err = w.Write(text)
	return err
}

func (s *Server) getDocumentYAML(w http.ResponseWriter, _ *http.Request) error {
	if _, err := s.Document(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeOpenAPIYAML)
	_, err := w.Write(s.surface.completed.yaml)
	return err
}
