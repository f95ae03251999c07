"""Predict every image below an S3 prefix with SageMaker's batch transform, and wait for the end.

python deploy/sagemaker/batch_transform.py --image ACCOUNT.dkr.ecr.REGION.amazonaws.com/nucseg --role arn:aws:iam::… \
    --model-data s3://bucket/stardist.tar.gz --input s3://bucket/images/ --output s3://bucket/predictions/

The answer of each image, as of /model/predict, is written to OUTPUT as <image>.out. The archive of the model holds the
files of its folder: tar -czf stardist.tar.gz -C data/06_models/stardist .
"""

import uuid

import boto3
import click


@click.command()
@click.option("--image", required=True, help="The container image in ECR.")
@click.option("--role", required=True, help="ARN of the role that SageMaker takes on.")
@click.option("--model-data", help="S3 URL of the model as .tar.gz; without it the image's own is taken.")
@click.option("--input", "source", required=True, help="S3 prefix of the images.")
@click.option("--output", "target", required=True, help="S3 prefix of the answers.")
@click.option("--content-type", default="image/png", show_default=True, help="Of the images.")
@click.option("--accept", default="application/json", show_default=True, help="Of the answers; image/png for masks.")
@click.option("--instance-type", default="ml.m5.xlarge", show_default=True)
@click.option("--instance-count", default=1, show_default=True)
@click.option("--max-payload-mb", default=20, show_default=True, help="Of one image; SageMaker allows up to 100.")
def main(image, role, model_data, source, target, content_type, accept, instance_type, instance_count, max_payload_mb):
    """Run one batch transform job."""
    client = boto3.client("sagemaker")
    name = f"nucseg-{uuid.uuid4().hex[:12]}"
    container = {"Image": image, **({"ModelDataUrl": model_data} if model_data else {})}
    client.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    try:
        client.create_transform_job(
            TransformJobName=name,
            ModelName=name,
            BatchStrategy="SingleRecord",
            MaxConcurrentTransforms=8,
            MaxPayloadInMB=max_payload_mb,
            TransformInput={
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
                "ContentType": content_type,
                "SplitType": "None",
                "CompressionType": "None",
            },
            TransformOutput={"S3OutputPath": target, "Accept": accept, "AssembleWith": "None"},
            TransformResources={"InstanceType": instance_type, "InstanceCount": instance_count},
        )
        click.echo(f"Job {name} runs.")
        client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName=name)
        job = client.describe_transform_job(TransformJobName=name)
    finally:
        client.delete_model(ModelName=name)
    if job["TransformJobStatus"] != "Completed":
        raise click.ClickException(
            f"Job {name}: {job['TransformJobStatus']} ({job.get('FailureReason', 'no reason')})."
        )
    click.echo(f"Job {name} is done: {target}")


if __name__ == "__main__":
    main()
