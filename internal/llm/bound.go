package llm

// Tokens that providers add around what we send, above any seen in recordings:
// the frame of a chat template, of each message or part, of each tool, and the
// hidden instructions on how to call tools.
const (
	frameOfRequest = 1024
	frameOfPart    = 64
	frameOfTool    = 256
)

// PromptBound is an upper bound on the tokens of a request's prompt. Tokenizers
// work on bytes, and every token covers at least one, so what we send can never
// count more tokens than bytes. Schemas count twice, since providers write them
// out in another form.
//
// Of a passed request the body counts, whatever it says: a provider may heed
// fields that nobody here has heard of, and charge for them.
func PromptBound(req *Request) int64 {
	if req.Pass != nil {
		return passBound(req)
	}
	return frameOfRequest + headBound(req) + messagesBound(req.Messages)
}

func passBound(req *Request) int64 {
	p := req.Pass
	n := frameOfRequest + frameOfTool*(len(req.Tools)+1) + frameOfPart*len(p.Turns)
	for _, m := range req.Messages {
		n += frameOfPart * (1 + len(m.Parts))
	}
	return int64(n+len(p.Body)+p.Again-p.Media) + p.Extra
}

func headBound(req *Request) int64 {
	n := len(req.System)
	for _, t := range req.Tools {
		n += frameOfTool + 2*(len(t.Name)+len(t.Description)+len(t.Schema))
	}
	if req.Format != nil {
		n += frameOfTool + 2*(len(req.Format.Name)+len(req.Format.Schema))
	}
	return int64(n)
}

func messagesBound(messages []Message) int64 {
	n := 0
	for _, m := range messages {
		n += frameOfPart
		for _, p := range m.Parts {
			n += frameOfPart + len(p.Text)
			if p.Call != nil {
				n += len(p.Call.ID) + len(p.Call.Name) + len(p.Call.Args)
			}
			if p.Result != nil {
				n += len(p.Result.CallID) + len(p.Result.Name) + len(p.Result.Text)
			}
			if p.Opaque != nil {
				n += len(p.Opaque.Raw)
			}
		}
	}
	return int64(n)
}
