// Watches a stream, posts a comment to it, and ends when it sees that comment.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "livecomments.example/gen/livecomments/v1"
)

func main() {
	core := flag.String("core", "", "address of a core, host:port")
	fanout := flag.String("fanout", "", "address of a fanout, host:port")
	stream := flag.String("stream", "demo", "id of the stream")
	text := flag.String("text", "Hello from Go", "the comment")
	flag.Parse()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("LIVECOMMENTS_TOKEN"))
	if err := run(ctx, *core, *fanout, *stream, *text); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, core, fanout, stream, text string) error {
	toCore, err := grpc.NewClient(core, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer toCore.Close()
	toFanout, err := grpc.NewClient(fanout, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer toFanout.Close()

	feed, err := pb.NewFeedServiceClient(toFanout).Watch(ctx, &pb.WatchRequest{StreamId: stream})
	if err != nil {
		return err
	}
	posted := ""
	for {
		response, err := feed.Recv()
		if err != nil {
			return err
		}
		switch message := response.Message.(type) {
		case *pb.WatchResponse_Snapshot:
			fmt.Println("watching", message.Snapshot.Stream.Title)
			request := &pb.PostCommentRequest{
				StreamId: stream, Text: text, RequestId: fmt.Sprint(time.Now().UnixNano()),
			}
			answer, err := pb.NewCommentServiceClient(toCore).PostComment(ctx, request)
			if err != nil {
				return err
			}
			posted = answer.Comment.CommentId
			fmt.Println("posted", posted)
		case *pb.WatchResponse_Batch:
			for _, message := range message.Batch.Messages {
				for _, event := range message.Events.Events {
					comment := event.GetPosted().GetComment()
					if posted != "" && comment.GetCommentId() == posted {
						fmt.Println("seen", comment.Text)
						return nil
					}
				}
			}
		}
	}
}
